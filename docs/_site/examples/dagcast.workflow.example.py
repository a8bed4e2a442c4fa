from dagcast import workflow

listed = workflow.list_contracts()  # of what is installed; the same as `dagcast contracts list`
made_by = {row[0]: row[3] for row in listed.quantities}
assert made_by["eta"] == "eta"
checked = workflow.check(None)
assert checked.exit_code() == 0, checked.problems
