"""A served model that finds bright voxels, a key to it, and a browser that notes whatever it complains of."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
import torch
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from seaweed import free_ports
from service import Service, await_ready

from osteon.core.labels import table_for
from osteon.data.preprocess import ModelGrid
from osteon.inference.windows import StreamSpec
from osteon.models.build import build
from osteon.models.volume_specs import UNet3dSpec
from osteon.recipes.bundle import save_bundle
from osteon.recipes.recipe import Recipe
from osteon.serve.keys import add_key
from osteon.storage.stores import open_store

TABLE = table_for(["femur_left", "sacrum"])
DENSE_HU, DENSER_HU = 250, 600  # from where on the model says sacrum, and femur
PATIENCE_MS = 180_000  # WebGL is drawn by the processor here, which may be busy
DRAW_IN_SOFTWARE = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@dataclass(frozen=True)
class Door:
    """A service and the key to it."""

    url: str
    key: str


@dataclass
class Visit:
    """A page, and what went wrong on it.

    Attributes:
        page: it.
        door: the service that it belongs to.
        complaints: errors and warnings of its console, failures of its script, requests to other servers.
    """

    page: Page
    door: Door
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", lambda said: self._note(said.text, said.type in ("error", "warning")))
        self.page.on("pageerror", lambda error: self._note(str(error), True))
        self.page.on("request", lambda sent: self._note(sent.url, self._is_foreign(sent.url)))

    def enter(self) -> None:
        """Open the page with the key, as a tab that has been asked for it already."""
        self.page.add_init_script(f"sessionStorage.setItem('osteon-key', '{self.door.key}')")
        self.page.goto(self.door.url)
        self.page.wait_for_selector("#model option", state="attached")

    def _is_foreign(self, url: str) -> bool:
        return not url.startswith((self.door.url, "data:", "blob:"))

    def _note(self, text: str, is_wrong: bool) -> None:
        if is_wrong:
            self.complaints.append(text)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """`osteon serve` with a key and one model."""
    folder = tmp_path_factory.mktemp("door")
    key = add_key(folder / "keys.yaml", "reader", frozenset({"segment", "read"}))
    _save_model(str(folder / "model"))
    [port] = free_ports(1)
    command = [sys.executable, "-m", "osteon.cli.main", "serve", str(folder / "model"), "--port", str(port)]
    command += ["--store", str(folder / "store"), "--keys", str(folder / "keys.yaml")]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ.copy(), stdout=log, stderr=log)
    service = Service(f"http://127.0.0.1:{port}", process)
    try:
        await_ready(service, folder / "serve.log")
        yield Door(service.url, key)
    finally:
        service.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a screen."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on PATH; install it: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=DRAW_IN_SOFTWARE, timeout=PATIENCE_MS)
        yield started
        started.close()


@pytest.fixture
def new_visit(browser: Browser, door: Door) -> Iterator[Callable[[int, int], Visit]]:
    """Visits by somebody without a key yet, with a window of some width and height."""
    with ExitStack() as stack:

        def begin(width: int, height: int) -> Visit:
            viewport: ViewportSize = {"width": width, "height": height}
            context = stack.enter_context(browser.new_context(viewport=viewport, accept_downloads=True))
            return Visit(context.new_page(), door)

        yield begin


@pytest.fixture
def visit(new_visit: Callable[[int, int], Visit]) -> Visit:
    """A visit with the key, at the first page, on a screen."""
    visit = new_visit(1280, 800)
    visit.enter()
    return visit


def _save_model(folder: str) -> None:
    """A network that learns in moments that what is bright is bone."""
    torch.manual_seed(0)
    recipe = Recipe(
        name="bright",
        description="Calls what is bright bone.",
        grid=ModelGrid(spacing_mm=(6.0, 6.0, 6.0)),
        model=UNet3dSpec(channels=(8, 8), num_auxiliary=0),
        inference=StreamSpec(window_shape=(32, 32, 32)),
    )
    network = build(recipe.model, num_classes=len(TABLE) + 1).train()
    hu = torch.randint(-100, 1000, (16, 16, 16)).repeat_interleave(2, 0).repeat_interleave(2, 1).repeat_interleave(2, 2)
    x_BCZYX = recipe.intensity.apply(hu.to(torch.int16))[None, None]
    classes = torch.from_numpy(TABLE.class_of()).long()[_ids(hu)][None]
    optimiser = torch.optim.Adam(network.parameters(), lr=0.03)
    for _ in range(40):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(network(x_BCZYX), classes).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
    save_bundle(open_store(folder), "", recipe, TABLE, network.eval(), {})


def _ids(hu: torch.Tensor) -> torch.Tensor:
    dense = torch.where(hu >= DENSE_HU, TABLE.ids["sacrum"], 0)
    return torch.where(hu >= DENSER_HU, TABLE.ids["femur_left"], dense)
