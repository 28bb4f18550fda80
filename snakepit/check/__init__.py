"""`snakepit check`: whether an app can be imported in isolated interpreters, found out in a process that may crash."""
