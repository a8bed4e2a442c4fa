from dagcast.declaration import declaration
from dagcast_core.contract import Dim, Quantity
from dagcast_core.dims import HOUR

orders = Quantity("orders", (Dim("site"), HOUR), "order/h", bounds=(0, None))
source = declaration(orders)  # what `dagcast contracts copy orders` prints
names = {}
exec(source, names)
assert orders in names.values()
