"""The book: the course as a site that a browser reads without Python, and without network.

`build.build` takes the solved notebooks, their outputs from `executed`, and writes pages (`pages`, `front`, `ideas`,
`reference`), which Sphinx with MyST-NB turns into HTML; `print_version` joins the text in one file.
"""
