"""Eight exponentials side by side: what absence leaves of all of a person's scores, in one stroke.

A person's scores fade with half-lives of their own, so bringing somebody up to date takes eight exponentials.
One after the other they are the dearest part of a meeting; as lanes of one vector they cost about as much
as two. Each lane does what `exponentials.exponential` does, step by step, and gives the same bits.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from gaelp_env.exponentials import _PER_ROOT, _ROOT_HIGH, _ROOT_LOW, _ROOTS, _SHIFT, _UP

LANES = 8
_unpacked: Any = cgutils.unpack_tuple
_global: Any = cgutils.global_constant
_LEAST = -708.0
"""Less than this gives 0, where the scalar form still has a number below 1e-307."""


@intrinsic
def _exponentials_of_products(typing_context: Any, one: Any, others: Any) -> Any:
    """exp(one * other) for each of a tuple of LANES, as a tuple; no product may be above 0."""
    lanes_of = types.UniTuple(types.float64, LANES)  # type: ignore[no-untyped-call]
    if one != types.float64 or others != lanes_of:
        return None

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        double, word, wide = ir.DoubleType(), ir.IntType(32), ir.IntType(64)

        def all_of(kind: Any, number: float) -> Any:
            return ir.Constant(ir.VectorType(kind, LANES), [number] * LANES)

        def filled(kind: Any, values: Any) -> Any:
            vector = ir.Constant(ir.VectorType(kind, LANES), ir.Undefined)
            for place, value in enumerate(values):
                vector = builder.insert_element(vector, value, ir.Constant(word, place))
            return vector

        x = builder.fmul(
            filled(double, [args[0]] * LANES), filled(double, _unpacked(builder, args[1], LANES))
        )
        small = builder.fcmp_ordered("<", x, all_of(double, _LEAST))
        x = builder.select(small, all_of(double, 0.0), x)
        scaled = builder.fadd(builder.fmul(x, all_of(double, _PER_ROOT)), all_of(double, _UP))
        n = builder.sub(builder.fptosi(scaled, ir.VectorType(word, LANES)), all_of(word, _SHIFT))
        whole = builder.sitofp(n, x.type)
        r = builder.fsub(x, builder.fmul(whole, all_of(double, _ROOT_HIGH)))
        r = builder.fsub(r, builder.fmul(whole, all_of(double, _ROOT_LOW)))
        square = builder.fmul(r, r)
        low = builder.fadd(all_of(double, 0.5), builder.fmul(r, all_of(double, 1.0 / 6.0)))
        high = builder.fadd(all_of(double, 1.0 / 24.0), builder.fmul(r, all_of(double, 1.0 / 120.0)))
        high = builder.fadd(high, builder.fmul(square, all_of(double, 1.0 / 720.0)))
        series = builder.fadd(r, builder.fmul(square, low))
        series = builder.fadd(series, builder.fmul(builder.fmul(square, square), high))
        table = ir.Constant(ir.ArrayType(double, len(_ROOTS)), [float(root) for root in _ROOTS])
        roots = _global(builder, "gaelp_roots", table)
        places = builder.and_(n, all_of(word, len(_ROOTS) - 1))
        root = filled(
            double,
            [
                builder.load(
                    builder.gep(
                        roots,
                        [ir.Constant(word, 0), builder.extract_element(places, ir.Constant(word, lane))],
                        inbounds=True,
                    )
                )
                for lane in range(LANES)
            ],
        )
        power = builder.sext(builder.ashr(n, all_of(word, 5)), ir.VectorType(wide, LANES))
        power = builder.shl(builder.add(power, all_of(wide, 1023)), all_of(wide, 52))
        result = builder.fmul(builder.fadd(root, builder.fmul(root, series)), builder.bitcast(power, x.type))
        result = builder.select(small, all_of(double, 0.0), result)
        lanes = [builder.extract_element(result, ir.Constant(word, lane)) for lane in range(LANES)]
        return context.make_tuple(builder, signature.return_type, lanes)

    return lanes_of(types.float64, lanes_of), emit


@njit(inline="always")
def kept_of_each(elapsed_h, fading):  # type: ignore[no-untyped-def]
    """What is left of eight fading scores: `response.kept` of each half-life.

    Args:
      elapsed_h: hours, >= 0.
      fading: `[LANES]` of -ln 2 / half-life, per hour, < 0.
    Returns: eight numbers in [0, 1].
    """
    f = fading
    return _exponentials_of_products(  # type: ignore[call-arg]
        elapsed_h, (f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7])
    )
