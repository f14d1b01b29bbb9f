"""Leave Thebe's scripts out of the pages.

Jupyter Book loads sphinx-thebe even where no page uses it, and its `const THEBE_JS_URL` then comes twice: an
error in every page's console, and an address to fetch code from that no page needs.
"""


def drop(app, pagename, templatename, context, doctree):
    def is_thebe(script) -> bool:
        return "thebe" in f"{script.filename} {script.attributes.get('body')}".lower()

    context["script_files"] = [script for script in context["script_files"] if not is_thebe(script)]


def setup(app):
    app.connect("html-page-context", drop, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
