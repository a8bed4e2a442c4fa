from dagcast.trial import load_tried, try_packages

trial = try_packages()  # a process of its own loads every package, under limits
assert trial.problems == ()
plugins = load_tried()  # then this one loads those that did no harm
assert plugins.plugins
