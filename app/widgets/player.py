"""Pictures of the same road in the same place, one after the other: what moves between them catches the eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.widgets.component import component
from app.widgets.pictures import FIT, uri


@dataclass(frozen=True)
class Shot:
    """One picture of the film.

    Attributes:
        picture: JPEG; all of one size.
        label: written over its upper corner.
        height: of its bar under the film, 0 to 1; None for no bar.
    """

    picture: bytes
    label: str
    height: float | None = None


_HTML = """
<div class="sf-player">
  <figure>
    <img alt=""><span class="label" aria-hidden="true"></span>
    <button type="button" class="play"></button>
  </figure>
  <div class="bars" role="group" aria-label="Pictures"></div>
</div>
"""

_CSS = """
.sf-player figure { position: relative; margin: 0; line-height: 0; border-radius: 0.5rem; overflow: hidden; }
.sf-player img { width: 100%; display: block; user-select: none; }
.sf-player .label { position: absolute; top: 0.7rem; left: 0.7rem; font: 600 0.85rem/1.6 var(--st-font); color: #fff;
  background: rgba(12,18,28,.78); padding: 0 0.6rem; border-radius: 0.35rem; pointer-events: none;
  font-variant-numeric: tabular-nums; }
.sf-player .label.right { left: auto; right: 0.7rem; }
.sf-player .play { position: absolute; bottom: 0.7rem; left: 0.7rem; font: 600 0.85rem/1.9 var(--st-font); color: #fff;
  background: rgba(12,18,28,.78); border: 1px solid rgba(255,255,255,.5); padding: 0 0.8rem; border-radius: 0.35rem;
  min-width: 6.2rem; cursor: pointer; }
.sf-player button:focus-visible { outline: 3px solid var(--st-primary-color); }
.sf-player .bars { display: flex; gap: 3px; height: 3.2rem; margin-top: 0.5rem; }
.sf-player .bars:empty { display: none; }
.sf-player .bars button { flex: 1; border: none; padding: 0; border-radius: 0.2rem; cursor: pointer;
  background: linear-gradient(0deg, rgba(138,147,163,.75) var(--height), rgba(138,147,163,.14) 0); }
.sf-player .bars button[aria-pressed=true] { background: linear-gradient(0deg,
  var(--st-primary-color) var(--height), rgba(138,147,163,.3) 0); }
"""

_JS = """
export default function({ data, parentElement }) {
  const player = parentElement.querySelector('.sf-player'), pick = (name) => player.querySelector(name);
  const shots = data.shots, two = shots.length === 2;
  fit(pick('img'), pick('figure'));
  const show = (at) => {
    player.at = (at + shots.length) % shots.length;
    const shot = shots[player.at], label = pick('.label');
    pick('img').src = shot.picture; pick('img').alt = shot.label; label.textContent = shot.label;
    label.classList.toggle('right', two && player.at === 1);
    [...pick('.bars').children].forEach((bar, i) => bar.setAttribute('aria-pressed', String(i === player.at)));
  };
  const play = (on) => {
    clearInterval(player.timer);
    player.playing = on;
    if (on) player.timer = setInterval(() => show(player.at + 1), 1000 / data.rate);
    pick('.play').textContent = on ? '❚❚ Pause' : '▶ ' + data.verb;
    pick('.play').title = 'Space: pause or go on. Arrow keys: the picture before or after.';
  };
  pick('.bars').replaceChildren(...shots.filter((shot) => shot.height !== null).map((shot, i) => {
    const bar = document.createElement('button');
    bar.type = 'button'; bar.title = shot.label; bar.tabIndex = -1; bar.setAttribute('aria-label', shot.label);
    bar.style.setProperty('--height', 100 * Math.max(shot.height, 0.03) + '%');
    bar.onclick = () => { play(false); show(i); };
    return bar;
  }));
  shots.forEach((shot) => { new Image().src = shot.picture; });  // decoded before they are wanted
  show(player.at ?? 0);
  play(player.playing ?? !matchMedia('(prefers-reduced-motion: reduce)').matches);
  pick('.play').onclick = () => play(!player.playing);
  player.onkeydown = (e) => {
    const at = { ArrowLeft: player.at - 1, ArrowRight: player.at + 1, Home: 0, End: shots.length - 1 }[e.key];
    if (at === undefined) return;
    play(false); show(Math.min(Math.max(at, 0), shots.length - 1)); e.preventDefault();
  };
  return () => clearInterval(player.timer);
}
"""


def player(shots: Sequence[Shot], key: str, rate: float = 4.0, verb: str = "Play") -> None:
    """Play the pictures over and over, ``rate`` a second; still at first where the system asks for less motion."""
    data = [{"picture": uri(shot.picture), "label": shot.label, "height": shot.height} for shot in shots]
    component("player", _HTML, _CSS, FIT + _JS)(data={"shots": data, "rate": rate, "verb": verb}, key=key)


def blink(left: bytes, right: bytes, left_label: str, right_label: str, key: str) -> None:
    """Two pictures in turn, one a second."""
    player([Shot(left, left_label), Shot(right, right_label)], key, rate=1.0, verb="Blink")
