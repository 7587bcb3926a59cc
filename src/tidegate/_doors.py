"""Opens the door of a package whose files are loaded when they are wanted: each public name is written once.

    if TYPE_CHECKING:
        from tidegate.data.split import stratified_split as stratified_split

    open_door(__name__)

A checker follows the import. At run time nothing does, so that importing a package costs next to nothing; the door
finds the same import in the compiled code of the file that opens it, which is there also where the source is not (in a
zip, in a folder of `.pyc` files), and carries it out when the name is first used.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from types import CodeType
from typing import Any

_EXTRAS = {"torch": "torch"}  # by the package that the base install lacks, and that a whole file may want


def open_door(package: str) -> None:
    """Give a package its `__getattr__`, `__dir__` and `__all__`; to be called last in its `__init__.py`.

    Public are the names that the file imports and that are not there yet, and what it defines itself. What a package
    imports from itself is a module of it. No other file of a package may be called as one of these names is: importing
    it would put the file in the name's place.

    A name whose file wants a package that is not installed raises MissingPackageError, which tells the extra.
    """
    module, code = sys.modules[package], sys._getframe(1).f_code
    there = set(vars(module))

    @cache
    def homes() -> dict[str, str]:
        return {name: home for name, home in _imports(code) if name not in there}

    @cache
    def public() -> list[str]:
        own = {name for name in there if getattr(vars(module)[name], "__module__", None) == package}
        return sorted({*homes(), *(name for name in own if not name.startswith("_"))})

    def enter(name: str) -> Any:
        if name == "__all__":
            return public()
        if name not in homes():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = vars(module)[name] = _fetch(package, homes()[name], name)
        return value

    vars(module).update(__getattr__=enter, __dir__=public)


def _imports(code: CodeType) -> Iterator[tuple[str, str]]:
    """Yield the names that a file imports outside its functions, and the modules that they come from."""
    from dis import get_instructions  # which takes 3 ms to load, a tenth of `import tidegate` (measured 2026-11-28)

    home = ""
    for instruction in get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            home = instruction.argval
        elif instruction.opname == "IMPORT_FROM":
            yield instruction.argval, home


def _fetch(package: str, home: str, name: str) -> Any:
    try:
        return import_module(f"{home}.{name}") if home == package else getattr(import_module(home), name)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        missing = error.name
    from tidegate.errors import MissingPackageError

    raise MissingPackageError.of(missing, _EXTRAS[missing], f"{package}.{name}".removeprefix("tidegate."))
