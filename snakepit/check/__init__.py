"""`snakepit check`: finds out in a separate process, which may crash, whether an app can be imported in isolated
interpreters."""
