"""A search for a regular expression in time linear in the text, whatever the expression.

The expression becomes a nondeterministic automaton (Thompson); its sets of states become the states of a
deterministic one as texts need them, and are kept. A common search costs one dictionary access a character.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsunagu.broker.query.characters import Ranges, contains
from tsunagu.broker.query.regex_tree import Anchor, Characters, Choice, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tsunagu.broker.query.regex_tree import Node

MAX_MOVES = 10_000
"""Kept moves of one automaton at most; then they are forgotten and found anew."""


class _State:
    """A set of steps; `moves` by character; `found`: the search is over, `at_end`: it is if the text ends here."""

    __slots__ = ("at_end", "found", "moves", "steps")

    def __init__(self, steps: frozenset[int], *, found: bool, at_end: bool) -> None:
        self.steps = steps
        self.found = found
        self.at_end = at_end
        self.moves: dict[str, _State] = {}


# A step: ("characters", ranges), ("jump", targets), ("start", None), ("end", None) or ("match", None).
# A jump goes on to each of its targets, the others to the next step.
_Step = tuple[str, Ranges | list[int] | None]


class Automaton:
    """The automaton of one pattern tree."""

    def __init__(self, tree: Node) -> None:
        self._program: list[_Step] = []
        self._compile(tree)
        self._program.append(("match", None))
        self._forget()

    def search(self, text: str) -> bool:
        """Return whether any part of the text matches."""
        state = self._first
        if state.found:
            return True
        for character in text:
            following = state.moves.get(character)
            if following is None:
                following = self._move(state, character)
            if following.found:
                return True
            if not following.steps:
                return False
            state = following
        if text:
            return state.at_end
        return self._match_at(self._closure([0], start=True), start=True)

    def _forget(self) -> None:
        self._states: dict[frozenset[int], _State] = {}
        self._moves = 0
        self._first = self._state(self._closure([0], start=True))

    def _compile(self, tree: Node) -> None:
        program = self._program
        if isinstance(tree, Characters):
            program.append(("characters", tree.ranges))
        elif isinstance(tree, Anchor):
            program.append(("start" if tree.start else "end", None))
        elif isinstance(tree, Sequence):
            for part in tree.parts:
                self._compile(part)
        elif isinstance(tree, Choice):
            self._compile_choice(tree.branches)
        else:
            self._compile_repeat(tree.part, tree.least, tree.most)

    def _compile_choice(self, branches: tuple[Node, ...]) -> None:
        targets: list[int] = []
        self._program.append(("jump", targets))
        exits: list[list[int]] = []
        for branch in branches:
            targets.append(len(self._program))
            self._compile(branch)
            exits.append([])
            self._program.append(("jump", exits[-1]))
        for leave in exits:
            leave.append(len(self._program))

    def _compile_repeat(self, part: Node, least: int, most: int | None) -> None:
        for _ in range(least):
            self._compile(part)
        if most is None:
            targets = [len(self._program) + 1]
            loop = len(self._program)
            self._program.append(("jump", targets))
            self._compile(part)
            self._program.append(("jump", [loop]))
            targets.append(len(self._program))
            return
        skips: list[list[int]] = []
        for _ in range(most - least):
            skips.append([len(self._program) + 1])
            self._program.append(("jump", skips[-1]))
            self._compile(part)
        for skip in skips:
            skip.append(len(self._program))

    def _closure(self, steps: Iterable[int], *, start: bool, end: bool = False) -> frozenset[int]:
        """Return the steps that are reached without a character; at the `start`, or the `end`, of the text."""
        reached: set[int] = set()
        waiting = list(steps)
        while waiting:
            step = waiting.pop()
            if step in reached:
                continue
            reached.add(step)
            kind, argument = self._program[step]
            if kind == "jump":
                assert isinstance(argument, list)
                waiting.extend(argument)
            elif (kind == "start" and start) or (kind == "end" and end):
                waiting.append(step + 1)
        return frozenset(step for step in reached if self._program[step][0] in ("characters", "end", "match"))

    def _match_at(self, steps: frozenset[int], *, start: bool) -> bool:
        """Return whether the match step is reached when the text ends here."""
        return len(self._program) - 1 in self._closure(steps, start=start, end=True)

    def _state(self, steps: frozenset[int]) -> _State:
        state = self._states.get(steps)
        if state is None:
            found = len(self._program) - 1 in steps
            state = self._states[steps] = _State(steps, found=found, at_end=found or self._match_at(steps, start=False))
        return state

    def _move(self, state: _State, character: str) -> _State:
        """Return the state after the character; a match may also begin after it."""
        if self._moves >= MAX_MOVES:
            self._forget()
        after = [step + 1 for step in state.steps if self._accepts(step, character)]
        following = self._state(self._closure([*after, 0], start=False))
        state.moves[character] = following
        self._moves += 1
        return following

    def _accepts(self, step: int, character: str) -> bool:
        kind, argument = self._program[step]
        return kind == "characters" and contains(argument, character)  # type: ignore[arg-type]
