"""JEXL, the expression language of FIWARE's provisioning API: `compile_expression("depth / 100", …)`; see README.md."""

from tsunagu.adapters.jexl.parser import Expression, compile_expression

__all__ = ["Expression", "compile_expression"]
