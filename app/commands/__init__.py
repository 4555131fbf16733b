"""The command line's commands: a module each, named as the command, found by the `command` it defines.

That is a function with Typer's annotations, or a Typer application where the command has several of
its own. Options name settings by `app.commands.options.setting`, so that help, environment and defaults agree.
"""
