from contextlib import asynccontextmanager

from gradio_client import Client
from pages import By, page, wait_for


@asynccontextmanager
async def visit(url):
    for name in ("Ada", "Grace", "Alan", "Edsger"):  # what is asked and what is answered are requests of their own
        assert Client(url, verbose=False).predict(name, 3, api_name="/greet") == ", ".join([f"Hello {name}"] * 3)
    with page(url) as browser:
        wait_for(browser, lambda it: it.find_element(By.CSS_SELECTOR, "textarea")).send_keys("Barbara")
        browser.find_element(By.XPATH, "//button[text()='Submit']").click()
        wait_for(
            browser,
            lambda it: (
                [area.get_property("value") for area in it.find_elements(By.TAG_NAME, "textarea")][-1]
                == "Hello Barbara, Hello Barbara"
            ),
        )
        yield
