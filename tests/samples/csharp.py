"""Fails if a file is not C#: `csharp.py FILE`."""

import sys

import tree_sitter
import tree_sitter_c_sharp

with open(sys.argv[1], "rb") as file:
    text = file.read()
tree = tree_sitter.Parser(tree_sitter.Language(tree_sitter_c_sharp.language())).parse(text)
if tree.root_node.has_error:
    sys.exit(f"not C#: {tree.root_node}")
