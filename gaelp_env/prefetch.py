"""Asks the processor to fetch a cache line that will be needed soon.

A plain read ahead of use would hold up the reads and sums behind it; a prefetch does not. It
changes no value: leaving it out changes the speed only.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def prefetch(typing_context: Any, address: Any) -> Any:
    """Prefetches the line at `address` (an unsigned integer) for reading and writing."""
    if not isinstance(address, types.Integer):
        return None

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [pointer], kind)
        builder.call(fetch, [builder.inttoptr(args[0], pointer), word(1), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(address), emit
