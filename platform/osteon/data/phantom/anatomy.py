"""The whole skeleton of a person, and the sets of bones a phantom can be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from osteon.core.geometry import Vector3
from osteon.data.phantom.bones import Bone
from osteon.data.phantom.frame import Frame
from osteon.data.phantom.head import head_frame, hyoid, mandible, skull
from osteon.data.phantom.pelvis import SIDES, femur, hip_bone, hip_joint, pelvis_frame, sacrum
from osteon.data.phantom.person import Person
from osteon.data.phantom.shoulder import Shoulder, clavicle, humerus, scapula, shoulder
from osteon.data.phantom.spine import Vertebra, spine, vertebra_bone
from osteon.data.phantom.thorax import Rib, rib, rib_bone, sternum, sternum_line


@dataclass(frozen=True)
class Anatomy:
    """Where everything is, for bones and soft tissue alike.

    Attributes:
        person: whose body it is.
        body: frame between the hip joints, turned as the person lies.
        pelvis: frame of the pelvis.
        joints: frames of the femoral heads by side, x to the outside.
        spine: vertebrae by level, L5 to C1.
        ribs: all 24.
        sternum: its line in the body's frame, top to lower end.
        shoulders: left and right.
        head: frame of the head.
    """

    person: Person
    body: Frame
    pelvis: Frame
    joints: dict[str, Frame]
    spine: dict[str, Vertebra]
    ribs: tuple[Rib, ...]
    sternum: tuple[Vector3, ...]
    shoulders: tuple[Shoulder, ...]
    head: Frame


def lay_out(person: Person) -> Anatomy:
    """Place a person's parts in the scanner."""
    body = person.body()
    pelvis = pelvis_frame(person, body)
    stack = spine(person, pelvis)
    thoracic = [stack[f"T{number}"] for number in range(1, 13)]
    line = sternum_line(body, stack)
    return Anatomy(
        person,
        body,
        pelvis,
        {side: hip_joint(person, pelvis, side) for side in SIDES},
        stack,
        tuple(rib(person, body, vertebra, side) for side in SIDES for vertebra in thoracic),
        tuple(line),
        tuple(shoulder(person, body, stack, line[0], side) for side in SIDES),
        head_frame(person, body, stack["C1"]),
    )


def skeleton(anatomy: Anatomy, *, split_sacrum: bool) -> list[Bone]:
    """Every bone of the body from the knees to the crown."""
    person, body = anatomy.person, anatomy.body
    line = list(anatomy.sternum)
    return [
        *(hip_bone(person, anatomy.joints[side], side) for side in SIDES),
        *(femur(person, anatomy.joints[side], side) for side in SIDES),
        sacrum(person, anatomy.pelvis, split=split_sacrum),
        *(vertebra_bone(vertebra, person) for vertebra in anatomy.spine.values()),
        *(rib_bone(person, body, laid) for laid in anatomy.ribs),
        sternum(person, body, line),
        *(make(person, at) for at in anatomy.shoulders for make in (clavicle, scapula, humerus)),
        *(make(person, anatomy.head) for make in (skull, mandible, hyoid)),
    ]
