"""Meshes as files: binary STL, binary PLY, VTK's XML (.vtp). Knows bytes; whoever calls knows where they go.

Positions are x, y, z in patient millimetres, LPS, as 3D Slicer writes and expects them; every file says so where
Slicer looks for it (``SPACE=LPS``).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from osteon.evaluation.mesh import Floats, Mesh

MeshFormat = Literal["vtp", "ply", "stl"]
MESH_FORMATS: tuple[MeshFormat, ...] = get_args(MeshFormat)

_SPACE = "SPACE=LPS"
_STL_HEADER_BYTES = 80
_STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attributes", "<u2")])
_PLY_TRIANGLE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])


def encode_mesh(mesh: Mesh, format: MeshFormat, thickness_mm: Floats | None = None) -> bytes:
    """The file's bytes.

    Args:
        mesh: the surface.
        format: which file.
        thickness_mm: a value per vertex, kept as ``thickness_mm`` in .vtp and .ply (NaN where there is none); STL has
            no place for it.
    """
    return _ENCODERS[format](mesh, thickness_mm)


def _stl(mesh: Mesh, _thickness_mm: Floats | None) -> bytes:
    triangles = np.zeros(len(mesh.faces), _STL_TRIANGLE)
    corners = mesh.vertices_mm[mesh.faces][:, :, ::-1]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    triangles["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    triangles["corners"] = corners
    header = f"Osteon, millimetres. {_SPACE}".encode().ljust(_STL_HEADER_BYTES)
    return header + np.array(len(triangles), "<u4").tobytes() + triangles.tobytes()


def _ply(mesh: Mesh, thickness_mm: Floats | None) -> bytes:
    columns = [mesh.vertices_mm[:, ::-1]] if thickness_mm is None else [mesh.vertices_mm[:, ::-1], thickness_mm]
    names = ["x", "y", "z", "thickness_mm"][: 3 if thickness_mm is None else 4]
    triangles = np.zeros(len(mesh.faces), _PLY_TRIANGLE)
    triangles["count"], triangles["corners"] = 3, mesh.faces
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment {_SPACE}",
        "comment millimetres",
        f"element vertex {len(mesh.vertices_mm)}",
        *(f"property float {name}" for name in names),
        f"element face {len(mesh.faces)}",
        "property list uchar int vertex_indices",
        "end_header",
        "",
    ]
    return "\n".join(lines).encode() + np.column_stack(columns).astype("<f4").tobytes() + triangles.tobytes()


def _vtp(mesh: Mesh, thickness_mm: Floats | None) -> bytes:
    codes = " ".join(str(code) for code in _SPACE.partition("=")[2].encode() + b"\0")
    scalars = "" if thickness_mm is None else _array("Float32", "thickness_mm", 1, thickness_mm.astype("<f4"))
    offsets = np.arange(3, 3 * len(mesh.faces) + 3, 3, dtype="<i4")
    return f"""<?xml version="1.0"?>
<VTKFile type="PolyData" version="1.0" byte_order="LittleEndian" header_type="UInt64">
<PolyData>
<FieldData><Array type="String" Name="SPACE" NumberOfTuples="1" format="ascii">{codes}</Array></FieldData>
<Piece NumberOfPoints="{len(mesh.vertices_mm)}" NumberOfPolys="{len(mesh.faces)}">
<PointData{' Scalars="thickness_mm"' if scalars else ""}>{scalars}</PointData>
<Points>{_array("Float32", "Points", 3, mesh.vertices_mm[:, ::-1].astype("<f4"))}</Points>
<Polys>{_array("Int32", "connectivity", 1, mesh.faces.astype("<i4"))}{_array("Int32", "offsets", 1, offsets)}</Polys>
</Piece>
</PolyData>
</VTKFile>
""".encode()


def _array(type_: str, name: str, components: int, values: npt.NDArray[np.generic]) -> str:
    data = values.tobytes()
    text = base64.b64encode(np.array(len(data), "<u8").tobytes() + data).decode("ascii")
    return (
        f'<DataArray type="{type_}" Name="{name}" NumberOfComponents="{components}" format="binary">{text}</DataArray>'
    )


_ENCODERS: dict[MeshFormat, Callable[[Mesh, Floats | None], bytes]] = {"vtp": _vtp, "ply": _ply, "stl": _stl}
