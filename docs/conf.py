"""Sphinx's settings for the course's site. `rlcourse site` writes the pages that it reads; see
rlcourse/lessons/site.py."""

from rlcourse import __version__
from rlcourse.lessons import reference

project = "Reinforcement learning in one line"
author = "The authors of rlcourse"
release = version = __version__
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx.ext.mathjax"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
exclude_patterns = []

# The lessons come with their outputs.
nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}  # no slider on a page without a kernel, and nothing from another host
myst_enable_extensions = ["dollarmath", "html_image"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

# A local file, copied into _static.
mathjax_path = "tex-svg-full.js"
mathjax3_config = {"options": {"enableMenu": False}}

autodoc_typehints = "signature"
python_display_short_literal_types = True
add_module_names = False
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r".*")]  # types of other libraries, whose pages are elsewhere

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "home_page_in_toc": True,
}


def displayed(translator, node):
    r"""A displayed formula as it is written: \tag may not stand in the `split` that Sphinx adds."""
    from docutils.nodes import SkipNode

    opening, closing = translator.builder.config.mathjax_display
    translator.body.append(translator.starttag(node, "div", CLASS="math notranslate nohighlight"))
    translator.body.append(opening + translator.encode(node.astext()) + closing + "</div>\n")
    raise SkipNode


def setup(app):
    def formulas(app):
        app.registry.html_block_math_renderers["mathjax"] = (displayed, None)

    app.connect("builder-inited", formulas, priority=900)
    app.connect("autodoc-process-docstring", reference.process)
