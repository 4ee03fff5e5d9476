"""Keys: secrets that nobody can guess, a file that a key can be taken out of, and files that let nobody in."""

from pathlib import Path

import pytest
import yaml

from osteon.core.errors import BadInput
from osteon.serve.callers import Role
from osteon.serve.keys import KeyFile, add_key, load_keys

READ: frozenset[Role] = frozenset({"read"})
BOTH: frozenset[Role] = frozenset({"read", "segment"})


def test_a_key_opens_and_the_file_does_not_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "keys.yaml"
    secret = add_key(path, "pacs", BOTH)
    caller = KeyFile(path).find(secret)
    assert caller is not None
    assert (caller.name, caller.roles) == ("pacs", BOTH)
    assert secret not in path.read_text()
    assert len(secret) >= 43  # 256 bits in base64
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_wrong_key_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    secret = add_key(path, "pacs", READ)
    keys = KeyFile(path)
    for wrong in ("", "osteon_", secret[:-1], secret + "a", load_keys(path)[0].hash, "ünïcode"):
        assert keys.find(wrong) is None


def test_every_key_is_another_one_and_each_is_its_own_caller(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    secrets = {name: add_key(path, name, READ) for name in ("one", "two", "three")}
    keys = KeyFile(path)
    assert {name: caller.name for name, secret in secrets.items() if (caller := keys.find(secret))} == {
        "one": "one",
        "two": "two",
        "three": "three",
    }


def test_a_key_that_is_taken_out_is_shut_out_at_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    first, second = add_key(path, "gone", READ), add_key(path, "stays", READ)
    keys = KeyFile(path)
    assert keys.find(first) is not None
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text())[1:]))
    assert keys.find(first) is None
    assert keys.find(second) is not None


def test_a_name_gets_a_second_key_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    old = add_key(path, "pacs", READ)
    with pytest.raises(BadInput, match="key-exists"):
        add_key(path, "pacs", READ)
    new = add_key(path, "pacs", READ, again=True)
    keys = KeyFile(path)
    assert [caller.name for secret in (old, new) if (caller := keys.find(secret))] == ["pacs", "pacs"]


def test_comments_and_limits_of_the_file_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    add_key(path, "slow", READ)
    path.write_text(path.read_text() + "  limits: {requests_per_s: 0.5}\n# asked for by radiology")  # no line end
    add_key(path, "fast", READ)
    assert "# asked for by radiology\n" in path.read_text()
    limits = [key.limits for key in load_keys(path)]
    assert limits[0] is not None
    assert limits[0].requests_per_s == 0.5
    assert limits[1] is None


@pytest.mark.parametrize("name", ["", "a/b", "../up", "oidc:someone", "name\nroles", ".hidden", "a" * 65])
def test_a_name_that_could_be_something_else_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="key-name"):
        add_key(tmp_path / "keys.yaml", name, READ)
    assert not (tmp_path / "keys.yaml").exists()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "name: x",
        "- {name: x}",
        "- {name: x, hash: plain, roles: [read]}",
        f"- {{name: x, hash: 'sha256:{'0' * 64}', roles: [root]}}",
        f"- {{name: x, hash: 'sha256:{'0' * 64}', roles: []}}",
        "!!python/object/apply:os.system [true]",
    ],
)
def test_a_damaged_file_lets_nobody_in(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.yaml"
    secret = add_key(path, "pacs", READ)
    keys = KeyFile(path)
    assert keys.find(secret) is not None
    path.write_text(text)
    for _ in range(2):
        with pytest.raises(BadInput, match="keys-file"):
            keys.find(secret)


def test_a_file_that_anybody_may_write_to_or_that_is_gone_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    secret = add_key(path, "pacs", READ)
    keys = KeyFile(path)
    path.chmod(0o666)
    with pytest.raises(BadInput, match="chmod o-w"):
        keys.find(secret)
    path.unlink()
    with pytest.raises(BadInput, match="keys-file"):
        keys.find(secret)
