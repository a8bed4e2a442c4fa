from dagcast.assembly import check_assembly
from dagcast.plugins import load_plugins

# What do the installed packages lack for a project that steers waiting times by bonuses?
assembly = check_assembly(
    load_plugins(), required={"eta": "min"}, levers=("incentive_spend", "coupon_spend", "base_fare")
)
assert assembly.problems == (), assembly.problems
assert assembly.order.index("sessions-total") < assembly.order.index("eta")
