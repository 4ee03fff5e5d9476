import base64
import struct
import xml.etree.ElementTree as ET

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.geometry import Grid
from osteon.evaluation.mesh import Mesh, extract_mesh
from osteon.evaluation.mesh_files import encode_mesh

THICKNESS = np.array([1.5, np.nan, 2.5, 0.5])


@pytest.fixture
def mesh() -> Mesh:
    """A tetrahedron with a right angle at (x, y, z) = (10, 20, 30), facing outward."""
    corners_xyz = np.array([[10.0, 20, 30], [13, 20, 30], [10, 24, 30], [10, 20, 35]])
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    return Mesh(corners_xyz[:, ::-1], faces)


def test_the_tetrahedron_is_one(mesh: Mesh) -> None:
    assert mesh.is_watertight
    assert mesh.volume_mm3 == pytest.approx(3 * 4 * 5 / 6)


def test_stl_holds_triangles_in_x_y_z(mesh: Mesh) -> None:
    data = encode_mesh(mesh, "stl", THICKNESS)

    assert b"SPACE=LPS" in data[:80]
    assert not data.startswith(b"solid")  # the mark of the text format
    assert struct.unpack("<I", data[80:84]) == (4,)
    assert len(data) == 84 + 4 * 50
    normal, a, b, c = np.frombuffer(data[84:132], "<f4").reshape(4, 3)
    np.testing.assert_array_equal(normal, [0, 0, -1])
    np.testing.assert_array_equal([a, b, c], [[10, 20, 30], [10, 24, 30], [13, 20, 30]])


@pytest.mark.parametrize("thickness", [None, THICKNESS])
def test_ply_holds_vertices_faces_and_thickness(mesh: Mesh, thickness: npt.NDArray[np.float64] | None) -> None:
    header, _, body = encode_mesh(mesh, "ply", thickness).partition(b"end_header\n")

    lines = header.decode().splitlines()
    assert lines[:3] == ["ply", "format binary_little_endian 1.0", "comment SPACE=LPS"]
    assert {"element vertex 4", "element face 4", "property list uchar int vertex_indices"} <= set(lines)
    columns = [line.split()[2] for line in lines if line.startswith("property float")]
    assert columns == (["x", "y", "z"] if thickness is None else ["x", "y", "z", "thickness_mm"])
    size = 4 * 4 * len(columns)
    vertices = np.frombuffer(body[:size], "<f4").reshape(4, -1)
    np.testing.assert_array_equal(vertices[:, :3], mesh.vertices_mm[:, ::-1])
    if thickness is not None:
        np.testing.assert_array_equal(vertices[:, 3], thickness)
    faces = np.frombuffer(body[size:], [("count", "u1"), ("corners", "<i4", 3)])
    assert set(faces["count"]) == {3}
    np.testing.assert_array_equal(faces["corners"], mesh.faces)


def test_vtp_holds_points_polygons_space_and_thickness(mesh: Mesh) -> None:
    root = ET.fromstring(encode_mesh(mesh, "vtp", THICKNESS))

    arrays = {array.get("Name"): array for array in root.iter("DataArray")}
    np.testing.assert_array_equal(decoded(arrays["Points"], "<f4").reshape(-1, 3), mesh.vertices_mm[:, ::-1])
    np.testing.assert_array_equal(decoded(arrays["connectivity"], "<i4").reshape(-1, 3), mesh.faces)
    np.testing.assert_array_equal(decoded(arrays["offsets"], "<i4"), [3, 6, 9, 12])
    np.testing.assert_array_equal(decoded(arrays["thickness_mm"], "<f4"), THICKNESS)
    (space,) = root.iter("Array")
    assert space.get("Name") == "SPACE"
    assert bytes(map(int, (space.text or "").split())) == b"LPS\0"


def test_vtp_without_thickness_has_no_scalars(mesh: Mesh) -> None:
    root = ET.fromstring(encode_mesh(mesh, "vtp"))

    assert "thickness_mm" not in {array.get("Name") for array in root.iter("DataArray")}
    assert [dict(data.attrib) for data in root.iter("PointData")] == [{}]


def test_triangles_without_area_have_no_direction() -> None:
    flat = Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]], np.int32))

    assert np.frombuffer(encode_mesh(flat, "stl")[84:132], "<f4").tolist() == [0.0] * 12


def test_a_bone_keeps_its_place_in_every_format() -> None:
    mesh = extract_mesh(np.ones((3, 4, 5), np.bool_), Grid((3, 4, 5), origin_mm=(-700.0, 20.0, 3.0)))
    corners = np.frombuffer(encode_mesh(mesh, "stl")[84:], "V12,(3,3)<f4,<u2")["f1"].reshape(-1, 3)

    np.testing.assert_allclose(corners.mean(axis=0), [5, 21.5, -699], atol=0.1)


def decoded(array: ET.Element, dtype: str) -> npt.NDArray[np.generic]:
    data = base64.b64decode(array.text or "")
    assert struct.unpack("<Q", data[:8]) == (len(data) - 8,)
    return np.frombuffer(data[8:], dtype)
