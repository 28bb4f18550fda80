from contextlib import asynccontextmanager

from pages import By, page, wait_for


@asynccontextmanager
async def visit(url):
    for _ in range(4):  # each page is in the memory of one worker
        with page(url) as browser:
            click(browser)
    with page(url) as browser:
        click(browser)
        yield


def click(browser):
    wait_for(browser, lambda it: "0 clicks" in it.find_element(By.TAG_NAME, "body").text)
    for number in (1, 2):
        wait_for(browser, lambda it: it.find_element(By.TAG_NAME, "button")).click()
        wait_for(browser, lambda it, number=number: f"{number} clicks" in it.find_element(By.TAG_NAME, "body").text)
    # a page whose worker does not know it loads itself again until it finds the one that does
    assert browser.execute_script("return performance.getEntriesByType('navigation')[0].type") == "navigate"
