"""The cases, by subject. To add one, write a function with `@case(...)` where it fits; see `compat.registry`.

Importing a module of this package adds its cases to `compat.registry.CASES`; `compat.registry.all_cases` imports each.
"""
