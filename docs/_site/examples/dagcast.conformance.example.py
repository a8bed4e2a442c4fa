from dagcast.conformance import check_conformance

# Of one package, as `dagcast check --conformance` does of all; in a process of its own.
results = check_conformance(["dagcast-incentives"])
for result in results:
    print(result.distribution, result.model, result.passed, "passed")
    assert result.problems == ()
