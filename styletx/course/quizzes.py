"""Questions that a page checks by itself, without a kernel."""

import hashlib
import html
import json


def check_word(answer: str, prompt: str):
    """A text field that checks a word by itself, also in a page without a kernel; the page holds hashes only.

    Capitals do not matter. It says how many letters stand where they belong. The hashes keep the answer from
    being read in passing; they are no secret.
    """
    from IPython.display import HTML

    word = answer.strip().upper()
    name = "word-" + hashlib.sha256(f"{word} {prompt}".encode()).hexdigest()[:8]
    hashes = [_hash(f"{name}{place}{letter}") for place, letter in enumerate(word)]
    return HTML(_CHECK % {"name": name, "prompt": html.escape(prompt), "hashes": json.dumps(hashes)})


def _hash(text: str) -> int:
    """FNV-1a in 32 bits: short enough to stand in the page, in JavaScript, too."""
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 % 2**32
    return value


_CHECK = """<form id="%(name)s" style="margin:0.6em 0" autocomplete="off"><label>%(prompt)s
<input type="text" spellcheck="false" style="font:inherit;width:8em;text-transform:uppercase;margin:0 0.5em">
</label>
<button type="submit" style="font:inherit">Check</button>
<output role="status" style="margin-left:0.8em;font-weight:600"></output></form>
<script>(() => {
  const form = document.getElementById("%(name)s"), hashes = %(hashes)s, n = hashes.length;
  const hash = text => [...text].reduce((h, c) => Math.imul(h ^ c.charCodeAt(0), 16777619) >>> 0, 2166136261);
  form.addEventListener("submit", event => {
    event.preventDefault();
    event.stopPropagation();
    const word = form.querySelector("input").value.trim().toUpperCase();
    const right = hashes.filter((h, k) => hash("%(name)s" + k + (word[k] ?? "")) === h).length;
    form.querySelector("output").textContent = word.length !== n ? `It has ${n} letters.`
      : right === n ? "✓ Right." : `${right} of ${n} letters stand where they belong.`;
  });
})();</script>"""
