"""Each rule finds the fault that is planted for it, and nothing beside it."""

import unittest

import house
import text as texts

WORDS = house.Words()


def said(faults):
    return [(fault.line, fault.says) for fault in faults]


def path_for(word):
    return word.get("files", "*.rs").split()[0].replace("*", "planted.rs").replace("planted.rs.rs", "planted.rs")


class Words(unittest.TestCase):
    def test_each_rule_finds_its_example(self):
        for word in WORDS.words:
            with self.subTest(word["pattern"]):
                path, example = path_for(word), word["example"]
                if word["in"] == "prose" and path.endswith(".rs") and not example.startswith(("//", '"')):
                    example = f"// {example}"
                found = [fault for fault in WORDS.faults(path, f"fn first() {{}}\n{example}\n") if word["instead"] in fault.says]
                self.assertEqual([fault.line for fault in found], [2], example)
                self.assertTrue(found[0].says.endswith(" (tests/house/words.toml)"), found[0].says)

    def test_an_identifier_is_found_as_a_whole_word_only(self):
        self.assertFalse(said(WORDS.faults("a.rs", "struct Foundation; fn rekept() {}")))

    def test_code_words_are_allowed_in_prose(self):
        self.assertFalse(said(WORDS.faults("a.rs", '// Found by name. Turn it on.\nlet a = "Question";')))

    def test_code_in_backticks_is_code(self):
        self.assertTrue(said(WORDS.faults("a.rs", "// As `LetBe` says.")))
        self.assertTrue(said(WORDS.faults("a.md", "As `LetBe` says.")))

    def test_a_sentence_is_found_across_lines_and_in_strings(self):
        for text in [
            "/// What isn't of its form is none\n/// either.",
            'let a = "it is none \\\n    either";',
            "# It is none\n# either.",
        ]:
            path = "a.sh" if text.startswith("# ") else "a.rs"
            self.assertTrue(any("negation" in says for _, says in said(WORDS.faults(path, text))), text)

    def test_allowed_words_are_not_found(self):
        self.assertFalse(said(WORDS.faults("LICENSE", "that is none either")))


class Shape(unittest.TestCase):
    def test_long_lines_of_code_are_found(self):
        text = f"fn a() {{}}\n{'x, ' * 37}\n{'x ' * 55}\n    \"{'x' * 120}\""
        self.assertEqual([line for line, _ in said(house.width("a.rs", text))], [2])

    def test_long_comments_are_found_except_single_words(self):
        text = f"    /// {'a ' * 48}\n    // https://{'a' * 100}\n    // {'a ' * 46}\n    /// | {'a | ' * 30}"
        self.assertEqual([line for line, _ in said(house.width("a.rs", text))], [1])

    def test_long_files_are_found_unless_excepted(self):
        long = "// a\n" * 401
        self.assertTrue(said(house.lengths("a.rs", long, {})))
        self.assertFalse(said(house.lengths("a.rs", long, {"a.rs": 450})))
        self.assertTrue(said(house.lengths("a.rs", long, {"a.rs": 400})))

    def test_an_unneeded_exception_is_found(self):
        self.assertTrue(said(house.lengths("a.rs", "// a\n", {"a.rs": 450})))

    def test_long_functions_are_found(self):
        body = "        let a = 1;\n"
        for head in ["fn a() {", "pub(crate) async fn a(", "pub const fn a<T>() -> T"]:
            for lines, found in [(71, True), (70, False)]:
                text = f"impl A {{\n    {head}\n{body * lines}    }}\n}}\n"
                self.assertEqual(bool(said(house.lengths("a.rs", text, {}))), found, head)
                self.assertFalse(said(house.lengths("a.rs", text, {"a.rs: a": 71} if found else {})))
                self.assertTrue(said(house.lengths("a.rs", text, {"a.rs: a": 70})))

    def test_braces_in_strings_do_not_end_a_function(self):
        text = 'fn a() {\n    let a = r#"\n}\n"#;\n' + "    b();\n" * 70 + "}\n"
        self.assertTrue(said(house.lengths("a.rs", text, {})))


class Text(unittest.TestCase):
    def test_rust_splits_into_code_comments_and_strings(self):
        spans = list(texts.rust('let a = "x // y"; // c "d"\n    // e\nlet b = \'"\'; /* f */ r#"g"h"#'))
        pieces = [(span.kind, span.text) for span in spans if span.kind != "code"]
        self.assertEqual(
            pieces, [("string", '"x // y"'), ("comment", '// c "d"\n    // e'), ("comment", "/* f */"), ("string", 'r#"g"h"#')]
        )


if __name__ == "__main__":
    unittest.main()
