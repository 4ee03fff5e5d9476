"""Every kind of store behaves alike: one suite, run on a folder and on a real S3 server."""

import pickle
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from osteon.core.errors import BadInput, StoreError
from osteon.storage.stores import Store, open_store


class StoreTests:
    def test_gives_back_what_was_written(self, store: Store) -> None:
        store.write_bytes("a/b", b"one")
        store.write_bytes("a/b", b"two")
        assert store.read_bytes("a/b") == b"two"

    def test_missing_object_is_file_not_found(self, store: Store) -> None:
        store.write_bytes("folder/x", b"")
        for key in ("nothing", "folder", "folder/x/y"):
            with pytest.raises(FileNotFoundError):
                store.read_bytes(key)
            assert not store.exists(key)

    def test_takes_and_gives_files(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "given").write_bytes(b"many bytes" * 3_000_000)  # several parts
        store.take_file("folder/large", tmp_path / "given")
        store.get_file("folder/large", tmp_path / "back")

        assert not (tmp_path / "given").exists()
        assert (tmp_path / "back").read_bytes() == b"many bytes" * 3_000_000
        assert store.sizes("folder") == {"folder/large": 30_000_000}
        with pytest.raises(FileNotFoundError):
            store.get_file("folder/none", tmp_path / "none")

    def test_creates_only_once(self, store: Store) -> None:
        assert store.create_bytes("claim", b"first")
        assert not store.create_bytes("claim", b"second")
        assert store.read_bytes("claim") == b"first"

    def test_one_of_many_creators_wins(self, store: Store) -> None:
        contents = [bytes([n]) * 1000 for n in range(8)]
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda data: store.create_bytes("race", data), contents))
        assert won.count(True) == 1
        assert store.read_bytes("race") == contents[won.index(True)]

    def test_lists_keys_sizes_and_children(self, store: Store) -> None:
        for key, data in {"b/2": b"xx", "b/1/x": b"x", "bb": b"", "a": b"abc"}.items():
            store.write_bytes(key, data)
        assert store.list() == ["a", "b/1/x", "b/2", "bb"]
        assert store.sizes("b") == {"b/1/x": 1, "b/2": 2}
        assert store.list_children() == ["a", "b", "bb"]
        assert store.list_children("b") == ["1", "2"]
        assert store.list("nothing") == []
        assert store.list_children("nothing") == []

    def test_deletes_objects_and_trees(self, store: Store) -> None:
        for key in ("a/1", "a/2/3", "ab", "b"):
            store.write_bytes(key, b"x")
        store.delete("a")
        store.delete("b")
        store.delete("nothing")
        assert store.list() == ["ab"]

    def test_settles_what_is_there(self, store: Store) -> None:
        store.write_bytes("folder/x", b"1")
        store.settle("folder/x", "folder", "nothing")
        assert store.list() == ["folder/x"]
        with pytest.raises(BadInput, match="bad-key"):
            store.settle("../a")

    def test_child_is_a_part_of_its_store(self, store: Store) -> None:
        child = store.child("x y", "z")
        child.write_bytes("k", b"1")
        assert store.read_bytes("x y/z/k") == b"1"
        assert child.list() == ["k"]
        assert child.parent_and_name == (store.child("x y"), "z")

    def test_survives_pickling_and_opening_by_url(self, store: Store) -> None:
        store.write_bytes("k", b"1")
        assert pickle.loads(pickle.dumps(store)) == store
        assert open_store(store.url) == store
        assert open_store(store.child("a b").url).url == store.child("a b").url

    @pytest.mark.parametrize("key", ["", "/a", "a/", "../a", "a/../../b", "a//b", "."])
    def test_refuses_keys_that_leave_it(self, store: Store, key: str) -> None:
        with pytest.raises(BadInput, match="bad-key"):
            store.write_bytes(key, b"")


class TestFolder(StoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_store(str(tmp_path / "with space"))

    def test_hides_and_sweeps_what_a_killed_writer_left(self, store: Store) -> None:
        store.write_bytes("a/k", b"1")
        assert store.local_path is not None
        half = store.local_path / "a" / ".k.123.tmp"
        half.write_bytes(b"half")
        assert store.list() == ["a/k"]
        assert store.list_children("a") == ["k"]
        store.sweep("a")
        assert not half.exists()
        assert store.list() == ["a/k"]

    def test_plain_paths_and_file_urls_are_the_same(self, tmp_path: Path) -> None:
        assert open_store(str(tmp_path)) == open_store(tmp_path.as_uri())
        assert open_store(str(tmp_path)).local_path == tmp_path

    def test_a_path_may_go_up_again(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        assert (
            open_store(f"{tmp_path}/a/../b") == open_store(f"file://{tmp_path}/a/../b") == open_store(f"{tmp_path}/b")
        )

    def test_a_file_in_the_way_is_an_error_with_its_path(self, store: Store) -> None:
        store.write_bytes("a", b"")
        with pytest.raises(StoreError, match="with space/a"):
            store.write_bytes("a/b", b"")

    def test_signs_nothing(self, store: Store) -> None:
        assert store.sign_put("k", 60) is None


class TestBucket(StoreTests):
    @pytest.fixture
    def store(self, s3_url: str) -> Store:
        return open_store(s3_url)

    def test_a_signed_url_takes_the_object_without_credentials(self, store: Store) -> None:
        url = store.sign_put("uploads/k", 60)
        assert url is not None
        request = urllib.request.Request(url, data=b"bytes", method="PUT")
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
        assert store.read_bytes("uploads/k") == b"bytes"

    def test_wrong_secret_is_denied_in_one_line(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        store.write_bytes("k", b"1")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        for use in (lambda: store.read_bytes("k"), lambda: store.write_bytes("k", b"2"), store.list):
            with pytest.raises(StoreError, match="store-denied") as caught:
                use()
            assert "\n" not in str(caught.value)
            assert "AWS_SECRET_ACCESS_KEY" in caught.value.remedy

    def test_missing_bucket_is_named(self, store: Store) -> None:  # noqa: ARG002  # needs the server's environment
        with pytest.raises(StoreError, match="no bucket 'no-such-bucket'"):
            open_store("s3://no-such-bucket/x").read_bytes("k")

    def test_silent_endpoint_is_named(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(StoreError, match=r"no answer from http://127\.0\.0\.1:9") as caught:
            store.read_bytes("k")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://", "http://host/x", "file://host/x"])
def test_refuses_other_urls(url: str) -> None:
    with pytest.raises(BadInput, match="bad-url"):
        open_store(url)
