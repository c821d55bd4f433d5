"""The page that hears you, made once and served, and a browser."""

import pytest

from course_lib.course.site import live, vendor
from tests.course.site.chromium import CHROMIUM, FLAGS, serving
from tests.course.site.live_page import opened


@pytest.fixture(scope="session")
def live_site(tmp_path_factory):
    try:
        return live.alone(tmp_path_factory.mktemp("live"))
    except vendor.VendorError as error:
        pytest.skip(f"onnxruntime-web is not to be had: {error}")


@pytest.fixture(scope="session")
def live_address(live_site):
    with serving(live_site) as address:
        yield address


@pytest.fixture(scope="module")
def playwright():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright):
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def page(browser, live_address):
    """The page, open, its first model ready. It asked nobody else and logged nothing, all the time."""
    page = opened(browser, live_address)
    yield page
    assert page.wrong == []
    page.close()
