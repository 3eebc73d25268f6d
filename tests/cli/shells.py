"""Completion in real shells: keys are pressed, and what stands on the terminal afterwards is read."""

import re
import time
from pathlib import Path

from fleet import BINARY, Fleet
from terminal import Terminal

BASH = BINARY.parent / "docs/migrationd"
ZSH = BINARY.parent / "docs/_migrationd"


class Shell:
    """An interactive shell that knows the completion, with the binary at the head of PATH."""

    def __init__(self, name, folder):
        home = Path(folder)
        (home / "functions").mkdir(exist_ok=True)
        (home / "functions/_migrationd").write_text(ZSH.read_text())
        (home / ".inputrc").write_text("set bell-style none\nset show-all-if-ambiguous on\nset completion-query-items 0\nset page-completions off\n"
                                       "set enable-bracketed-paste off\n")
        (home / "bashrc").write_text(f"PATH={BINARY.parent}:$PATH\nPS1='ready> '\nsource {BASH}\n")
        (home / ".zshrc").write_text(f"PATH={BINARY.parent}:$PATH\nPS1='ready> '\nunsetopt zle_bracketed_paste\nfpath=({home}/functions $fpath)\n"
                                     "autoload -U compinit\ncompinit -u -D\nLISTMAX=1000\nsetopt no_list_beep\n")
        command = {"bash": ["bash", "--noprofile", "--rcfile", home / "bashrc", "-i"], "zsh": ["zsh", "-i"]}[name]
        self.terminal = Terminal(command, columns=160, HOME=str(home), ZDOTDIR=str(home), INPUTRC=str(home / ".inputrc"), LANG="C.UTF-8")
        self.terminal.wait_for("ready> ")

    def complete(self, line, *expected, tabs="\t\t"):
        """All that stands there after the line and the keys; the expected words must be among it."""
        self.terminal.raw = b""
        self.terminal.press(line + tabs)
        for word in expected:
            self.terminal.wait_for(word)
        deadline = time.monotonic() + 0.4
        while time.monotonic() < deadline:
            self.terminal.read(0.1)
        shown = self.terminal.text
        self.terminal.raw = b""
        self.terminal.press("\x15\n")  # ^U: the line is forgotten
        self.terminal.wait_for("ready> ")
        return shown

    def close(self):
        self.terminal.close()


def words_in(shown):
    return set(re.findall(r"[\w:.-]+", shown))


def in_shell(name, folder):
    fleet = Fleet(folder).start()
    file = Path(folder) / "a-copy.db"
    file.write_text("")
    shell = Shell(name, folder)
    try:
        assert {"serve", "migrate", "completion"} <= words_in(shell.complete("migrationd ", "serve", "version"))
        assert {"list", "add", "remove", "disable", "enable"} <= words_in(shell.complete("migrationd host ", "list", "enable"))
        shown = words_in(shell.complete("migrationd migrate web --", "--wait", "--block-migration"))
        assert {"--live", "--host", "--json", "--endpoint"} <= shown and "--reason" not in shown, shown
        assert "disable" in shell.complete("migrationd host di", "disable", tabs="\t")
        shown = words_in(shell.complete("migrationd migrate web --live --block-migration ", "auto", "false"))
        assert "true" in shown, shown
        shown = words_in(shell.complete(f"migrationd host disable --config {fleet.config} ", "compute-", "compute-3"))
        assert {"compute-1", "compute-2", "compute-3"} <= shown, shown
        shown = words_in(shell.complete(f"migrationd migrate --config {fleet.config} ", "fragile", "stuck"))
        assert {"web", "big", "twin"} <= shown, shown
        shown = shell.complete(f"migrationd migrate web --config {fleet.config} --host compute-", "compute-3")
        assert {"compute-1", "compute-2"} <= words_in(shown), shown
        assert "a-copy.db" in shell.complete(f"migrationd restore {folder}/a-c", "a-copy.db", tabs="\t")
        shown = shell.complete("migrationd policy list os_compute_api:os-migrate-server:migrate_l", "migrate_live:host")
        assert "os_compute_api:os-migrate-server:migrate_live" in shown.replace("\\", ""), shown
        assert "manager" in shell.complete("migrationd token --role ma", "manager", tabs="\t")
    finally:
        shell.close()
    fleet.stop()


def in_bash(folder):
    """bash completes verbs, their words, options, values, files, and the names of hosts and servers of the running daemon"""
    in_shell("bash", folder)


def in_zsh(folder):
    """zsh completes verbs, their words, options, values, files, and the names of hosts and servers of the running daemon"""
    in_shell("zsh", folder)


CHECKS = (in_bash, in_zsh)
