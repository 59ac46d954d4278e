#!/usr/bin/env python3
"""Opens the pages and drawings of `residua inspect` in headless Chromium and uses them as a reader would.

Needs nothing but Python and a Chromium (`--chromium`, `$CHROMIUM`, or one on the PATH). Without one it says that nothing was
checked and, unless `--require` is given, ends well: the pages are held by `cargo test` too, as text and XML.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
HOSTILE = [
    "</script><script>window.broken=1</script>",
    "\"><img src=x onerror=window.broken=1>",
    "<!--<script>",
    "'};window.broken=1;//",
    "\u202egnp.exe\u2066\u2028",
    "javascript:window.broken=1",
]


class Browser:
    """Chromium, spoken to over a pair of pipes (`--remote-debugging-pipe`): JSON, each message ended by a NUL."""

    def __init__(self, program):
        self.folder = tempfile.TemporaryDirectory(prefix="residua-chromium-", ignore_cleanup_errors=True)
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()

        def inherit():
            # The ends may have these very numbers.
            read, write = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(read, 3)
            os.dup2(write, 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe",
             f"--user-data-dir={self.folder.name}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=inherit,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.input, self.output = os.fdopen(ours_in, "rb", buffering=0), ours_out
        self.buffer, self.count, self.events = b"", 0, []

    def receive(self):
        while b"\0" not in self.buffer:
            more = self.input.read(1 << 20)
            if not more:
                raise SystemExit("Chromium ended")
            self.buffer += more
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        self.count += 1
        number = self.count
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.output, data):]
        while True:
            answer = self.receive()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


class Page:
    """A page of a file, with what went wrong in it."""

    def __init__(self, browser, path, dark=False):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Network", "Log"]:
            self.call(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setDeviceMetricsOverride", width=1600, height=1000, deviceScaleFactor=1, mobile=False)
        browser.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in browser.events):
            browser.events.append(browser.receive())

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def js(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def key(self, key, code=None, text=None):
        code = code or key
        number = {"Tab": 9, "Enter": 13, " ": 32}.get(key, 0)
        down = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        self.call("Input.dispatchKeyEvent", type="keyDown", **down, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **down)

    def complaints(self):
        """What the page asked the network for, threw, or was refused."""
        found = []
        for event in self.browser.events:
            params = event.get("params", {})
            if event["method"] == "Network.requestWillBeSent" and not params["request"]["url"].startswith("file:"):
                found.append(f"asked for {params['request']['url'][:80]}")
            elif event["method"] == "Runtime.exceptionThrown":
                found.append(f"threw {params['exceptionDetails']}")
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(params["entry"]["text"])
        return found


failures = []


def check(what, holds, found=None):
    if not holds:
        failures.append(f"{what}: {found!r}" if found is not None else what)


SHOWN = "[...document.querySelectorAll('#layers tbody tr[data-index]')].filter(row => !row.hidden)"


def column(page, head):
    """Shown cells of a column, by the text of its head."""
    return page.js(f"""(() => {{
        const heads = [...document.querySelectorAll('#layers thead th')];
        const at = heads.findIndex(head => head.textContent.trim() === {json.dumps(head)});
        return {SHOWN}.map(row => row.cells[at].textContent.trim());
    }})()""")


def press(page, head):
    page.js(f"[...document.querySelectorAll('#layers thead button')].find(b => b.textContent.trim() === {json.dumps(head)}).click()")


def numbers(texts):
    return [int(text.replace(",", "")) if text else -1 for text in texts]


def sorting(page, name):
    before = column(page, "name")
    press(page, "parameters")
    found = numbers(column(page, "parameters"))
    check(f"{name}: most parameters first", found == sorted(found, reverse=True) and len(set(found)) > 1, found[:9])
    check(f"{name}: the head says so", page.js("document.querySelector('[aria-sort]').getAttribute('aria-sort')") == "descending")
    press(page, "parameters")
    found = numbers(column(page, "parameters"))
    check(f"{name}: fewest parameters first", found == sorted(found), found[:9])
    press(page, "parameters")
    check(f"{name}: the third time as the model has them", column(page, "name") == before)
    press(page, "op")
    found = column(page, "op")
    check(f"{name}: words are sorted", [op.lower() for op in found] == sorted(op.lower() for op in found), found[:9])
    press(page, "op")
    press(page, "op")


def searching(page, name, word):
    everything = page.js(f"{SHOWN}.length")
    page.js("document.getElementById('search').focus()")
    page.call("Input.insertText", text=word.upper())
    names = page.js(f"{SHOWN}.map(row => row.textContent.toLowerCase())")
    check(f"{name}: a search leaves what has the word", 0 < len(names) < everything and all(word in n for n in names), names[:3])
    count = page.js("document.getElementById('count').textContent")
    check(f"{name}: and says how many", count == f"{len(names)} of {everything} layers", count)
    page.js("document.getElementById('search').value = 'no layer is called so'; document.getElementById('search').dispatchEvent(new Event('input'))")
    check(f"{name}: nothing is shown where nothing has the word", page.js(f"{SHOWN}.length") == 0)
    page.js("document.getElementById('search').value = ''; document.getElementById('search').dispatchEvent(new Event('input'))")
    check(f"{name}: all is shown again", page.js(f"{SHOWN}.length") == everything)


def keyboard(page, name):
    """The table is sorted and a row opened without a pointer."""
    page.js("document.getElementById('search').focus()")
    for _ in range(20):
        page.key("Tab")
        if page.js("document.activeElement.closest('thead') !== null"):
            break
    check(f"{name}: heads are reached by Tab", page.js("document.activeElement.textContent.trim()") == "name")
    page.key("Enter", text="\r")
    check(f"{name}: Enter sorts", page.js("document.querySelector('thead [aria-sort]') !== null"))
    page.key("Enter", text="\r")
    page.key("Enter", text="\r")
    for _ in range(40):
        page.key("Tab")
        if page.js("document.activeElement.classList.contains('more')"):
            break
    page.key(" ", code="Space", text=" ")
    check(f"{name}: space opens a row", page.js("document.activeElement.getAttribute('aria-expanded')") == "true")
    page.key(" ", code="Space", text=" ")
    check(f"{name}: and closes it", page.js("document.querySelector('tr.details') === null"))


def histograms(page, name):
    found = page.js("""(() => {
        const data = JSON.parse(document.getElementById('data').textContent);
        const wrong = [];
        let seen = 0;
        data.weights.forEach((tensors, row) => tensors.forEach(t => {
            const size = t.shape.reduce((a, b) => a * b, 1);
            const bars = (t.histogram || []).reduce((a, b) => a + b, 0);
            if (t.histogram.length && bars + t.non_finite !== size) wrong.push(t.name);
            seen += t.histogram.length > 0;
        }));
        return [seen, wrong, data.layers.length, data.weights.length];
    })()""")
    check(f"{name}: every element is in a bar", found[0] > 2 and not found[1] and found[2] == found[3], found)
    opened = page.js("""(() => {
        const row = [...document.querySelectorAll('#layers tbody tr')].find(row => row.querySelector('.spark svg'));
        row.querySelector('.more').click();
        const cards = [...row.nextElementSibling.querySelectorAll('.tensor')];
        const bars = cards.map(card => card.querySelectorAll('rect').length);
        row.querySelector('.more').click();
        return [bars, cards[0].textContent];
    })()""")
    check(f"{name}: a row opens to histograms", opened[0] and max(opened[0]) > 1 and "range" in opened[1], opened)


def blocks(page, name):
    """A block of the drawing shows its layers."""
    found = page.js(f"""(() => {{
        const block = document.querySelector('.d-stack[role=button]');
        if (!block) return null;
        block.dispatchEvent(new KeyboardEvent('keydown', {{ key: 'Enter' }}));
        const data = JSON.parse(document.getElementById('data').textContent);
        const parts = {SHOWN}.map(row => data.layers[Number(row.dataset.index)].part);
        const focused = document.activeElement.id;
        document.getElementById('chosen').click();
        return [block.dataset.parts.split(' '), [...new Set(parts)], {SHOWN}.length === data.layers.length, focused];
    }})()""")
    if found:
        check(f"{name}: a block shows its layers", found[0] == found[1] and found[2] and found[3] == "chosen", found)


FITS = """(() => {
    const inside = (a, b) => a.left >= b.left - .5 && a.right <= b.right + .5 && a.top >= b.top - .5 && a.bottom <= b.bottom + .5;
    const svg = document.querySelector('svg[aria-labelledby=d-title\\\\ d-desc], svg');
    const frame = node => node.getBoundingClientRect();
    const boxes = [...svg.querySelectorAll('.d-box:not(.d-ghost)')].map(frame);
    const all = frame(svg);
    return [...svg.querySelectorAll('text')].filter(text => {
        const own = frame(text);
        // The ink of a line is lower than the line.
        const ink = { left: own.left, right: own.right, top: own.top + own.height * .2, bottom: own.bottom - own.height * .2 };
        const boxed = text.getAttribute('text-anchor') === 'middle' && !text.classList.contains('d-mark-text');
        return boxed ? !boxes.some(box => inside(ink, box)) : !inside(ink, all);
    }).map(text => text.textContent);
})()"""

CONTRAST = """(() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const light = colour => {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const part = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(c => c / 255);
        const [r, g, b] = part.map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b;
    };
    const ratio = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
    const svg = document.querySelector('.drawing svg');
    const fill = node => getComputedStyle(node).fill;
    const boxes = [...svg.querySelectorAll('.d-box:not(.d-ghost), .d-panel')].reverse();
    let least = Infinity, where = '';
    const note = (a, b, what) => { const r = ratio(a, b); if (r < least) { least = r; where = what; } };
    for (const text of svg.querySelectorAll('text')) {
        if (text.classList.contains('d-mark-text')) continue;
        const { left, right, top, bottom } = text.getBoundingClientRect();
        const [x, y] = [(left + right) / 2, (top + bottom) / 2];
        const under = boxes.find(box => { const b = box.getBoundingClientRect(); return x > b.left && x < b.right && y > b.top && y < b.bottom; });
        note(fill(text), fill(under || svg.querySelector('.d-bg')), text.textContent);
    }
    const ground = node => { for (let n = node; n; n = n.parentElement) { const c = getComputedStyle(n).backgroundColor; if (!c.startsWith('rgba(0, 0, 0, 0')) return c; } return 'white'; };
    for (const node of document.querySelectorAll('h1,h2,header p,.card *,dt,dd,thead button,tbody th button,tbody td,.badge,.help,a,footer'))
        if (node.textContent.trim()) note(getComputedStyle(node).color, ground(node), node.textContent.trim().slice(0, 40));
    return [least, where];
})()"""


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def hostile_model(path):
    """An ONNX model of ReLUs, all of its names made to break out of a page."""
    def value(name):
        shape = b"".join(field(1, field(1, size)) for size in [1, 3, 8, 8])
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))

    names = HOSTILE + ["last"]
    nodes = b"".join(
        field(1, field(1, before) + field(2, after) + field(3, f"{after} node") + field(4, "Relu"))
        for before, after in zip(names, names[1:])
    )
    graph = nodes + field(2, HOSTILE[0]) + field(11, value(names[0])) + field(12, value("last"))
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 17)))


def models(folder):
    """Files to draw, with a word that only some of their layers have."""
    fixtures = ROOT / "fixtures"
    hostile = folder / "</title><b>.onnx".replace("/", "\u2215")
    hostile_model(hostile)
    with zipfile.ZipFile(fixtures / "onnx/torch.zip") as archive:
        for name in ["densenet.dynamo.onnx", "mobilenetv3.legacy17.onnx", "convnext.legacy17.onnx"]:
            archive.extract(name, folder)
    return [
        (fixtures / "thin/thin50v2.k3.h5", "conv3"),
        (fixtures / "digits/digits.k3.keras", "conv2d_1"),
        (fixtures / "faults/nan_kernel.h5", "block1"),
        (folder / "densenet.dynamo.onnx", "concat"),
        (folder / "mobilenetv3.legacy17.onnx", "conv"),
        (folder / "convnext.legacy17.onnx", "layernorm"),
        (hostile, "img"),
    ]


def written(residua, model, kind, folder):
    path = folder / f"{model.stem}.{kind}"
    with path.open("wb") as out:
        subprocess.run([residua, "inspect", model, "--format", kind, "--quiet"], stdout=out, check=True)
    return path


def spelled_out(name):
    """A name as it is shown: what would act on the line as its number."""
    return "".join(f"\\u{{{ord(c):x}}}" if c in "\u202e\u2066\u2028" else c for c in name)


def hold(browser, residua, model, word, folder):
    name = model.name
    path = written(residua, model, "html", folder)
    page = Page(browser, path)
    check(f"{name}: text of the drawing fits", page.js(FITS) == [], page.js(FITS))
    if "<" in name:
        names = column(page, "name")
        spelled = [spelled_out(name) for name in HOSTILE]
        check(f"{name}: names are text", all(any(hostile in n for n in names) for hostile in spelled), names)
        check(f"{name}: nothing turns text around", page.js("!/[\\u202a-\\u202e\\u2066-\\u2069]/.test(document.body.innerText)"))
        check(f"{name}: no name became markup", page.js("[document.images.length, document.scripts.length, window.broken ?? 0]") == [0, 2, 0])
    else:
        sorting(page, name)
        histograms(page, name)
        keyboard(page, name)
        blocks(page, name)
    searching(page, name, word)
    if "nan" in name:
        marks = page.js("[...document.querySelectorAll('#layers tr.marked')].map(row => row.cells[0].textContent)")
        check(f"{name}: the finding is at its layer", len(marks) == 1 and "R301" in marks[0] and "block1_conv2" in marks[0], marks)
        drawn = page.js("[...document.querySelectorAll('.d-stack .d-error')].map(mark => mark.closest('.d-stack').dataset.parts)")
        check(f"{name}: and at its block", drawn == ["stages.0.blocks.0"], drawn)
        page.js("document.querySelector('.findings a').click()")
        check(f"{name}: and leads there", page.js("document.querySelector('tr:target .more').textContent") == "block1_conv2")
    check(f"{name}: the page is quiet", not page.complaints(), page.complaints())
    for dark in [False, True]:
        page = Page(browser, path, dark)
        least, where = page.js(CONTRAST)
        scheme = "dark" if dark else "light"
        check(f"{name}: all is legible in {scheme}", least >= 4.5, f"{least:.2f} at {where}")
    page = Page(browser, written(residua, model, "svg", folder))
    check(f"{name}: text of the file fits", page.js(FITS) == [], page.js(FITS))
    check(f"{name}: the file is quiet", not page.complaints(), page.complaints())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--residua", required=True)
    parser.add_argument("--chromium", default=os.environ.get("CHROMIUM"))
    parser.add_argument("--require", action="store_true", help="fail where there is no Chromium")
    args = parser.parse_args()
    program = args.chromium or next(filter(None, map(shutil.which, NAMES)), None)
    if not program or not shutil.which(program):
        print("=" * 100, "NOT CHECKED: pages and drawings in a browser. No Chromium was found: install one, or set $CHROMIUM.", "=" * 100, sep="\n", file=sys.stderr)
        return 1 if args.require else 0
    # A browser that does not answer is no reason to wait for ever.
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("Chromium did not answer in five minutes"))
    signal.alarm(300)
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(program)
        try:
            held = models(Path(folder))
            for model, word in held:
                hold(browser, args.residua, model, word, Path(folder))
        finally:
            browser.close()
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(held)} models in {Path(program).name}: {len(failures)} failures")
    return 1 if failures or not held else 0


if __name__ == "__main__":
    sys.exit(main())
