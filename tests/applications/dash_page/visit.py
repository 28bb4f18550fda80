from contextlib import asynccontextmanager

from pages import By, page, wait_for


@asynccontextmanager
async def visit(url):
    with page(url) as browser:
        wait_for(browser, lambda it: it.find_element(By.ID, "greeting").text == "Who are you?")
        browser.find_element(By.ID, "name").send_keys("Ada")
        wait_for(browser, lambda it: it.find_element(By.ID, "greeting").text == "Hello, Ada!")
        wait_for(browser, lambda it: int(it.find_element(By.ID, "ticks").text.split()[0]) >= 3)
        yield
