"""Trained networks taken elsewhere: ONNX, C source for small devices, the Hugging Face Hub.

`export_onnx` and `export_c` are also there as `hashgrad.export_onnx` and `hashgrad.export_c`;
`hashgrad.export.hub` has the class `HubModel`, and needs the package huggingface_hub.
"""

from .c import CExport, export_c
from .onnx import export_onnx

__all__ = ["CExport", "export_c", "export_onnx"]
