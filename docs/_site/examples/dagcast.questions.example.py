from dagcast import ProjectError, open_fit, open_plan, open_project


def of_my_plan(folder):
    """What a notebook asks of a project that has a fit and a plan."""
    project = open_project(folder)
    fit = open_fit(project)
    print(fit.forecast_frame(["rides"]))
    return open_plan(project).sensitivity("sessions", of="rides")


try:
    of_my_plan("north")
except ProjectError as error:
    print(error)  # where there is none yet
