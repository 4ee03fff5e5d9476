import pytest

from osteon.cli.listing import LISTED, print_listing


def test_everything_is_counted_and_what_fits_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"quarantined: [{number}]" for number in range(LISTED + 3)]
    print_listing(lines, "bones", {"ingested": 4, "skipped": 0, "quarantined": len(lines)})
    *listed, more, sentence = capsys.readouterr().out.splitlines()
    assert listed == lines[:LISTED]
    assert more == "… and 3 more; --json lists them all"
    assert sentence == f"bones: 4 ingested, {len(lines)} quarantined"


def test_a_short_list_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    print_listing(["ignored: a"], "bones", {"ignored": 1})
    assert capsys.readouterr().out == "ignored: a\nbones: 1 ignored\n"
