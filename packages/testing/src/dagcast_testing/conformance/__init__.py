"""The suite against installed packages: ``pytest --pyargs dagcast_testing.conformance``.

``DAGCAST_CONFORMANCE=dagcast-eta,my-eta`` restricts it to some distributions.
"""
