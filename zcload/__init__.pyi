from zcload.api import load as load
from zcload.api import run as run
from zcload.store.reader import Result as Result

__version__: str
__all__ = ["Result", "__version__", "load", "run"]
