#!/usr/bin/python3
"""Tests of mutants.py."""

import pathlib
import tempfile
import unittest

import mutants


def mutant(name, original, broken, within="", **more):
    fields = {"rule": "r", "file": "a.cc", "original": original, "broken": broken, "killed by": "t"}
    fields |= {"within": within} if within else {}
    return mutants.Mutant(name, "", "module", fields | more)


class Table(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def read(self, text):
        (self.root / "module.mutants").write_text(text)
        return mutants.read_table(self.root)

    def findings(self, source, *its_mutants):
        (self.root / "a.cc").write_text(source)
        return mutants.find_places(its_mutants, self.root)[1]

    def instrumented(self, source, *its_mutants):
        (self.root / "a.cc").write_text(source)
        places, findings = mutants.find_places(its_mutants, self.root)
        self.assertEqual(findings, [])
        text = mutants.instrument(source, places["a.cc"])
        for name in ("one", "two", "three"):
            text = text.replace(f'::multiraft::is_chosen_mutant("{name}")', name)
        return text

    def test_reads_sections_fields_and_continued_lines(self):
        one, two = self.read(
            "# A comment.\n## Votes\n\n[one]\nrule: a rule\noriginal: a &&\n  b\nbroken: a\n"
            "killed by: some_test A.B\n\n[two]\nequivalent: why\n"
        )
        self.assertEqual((one.name, one.section, one.module), ("one", "Votes", "module"))
        self.assertEqual(one.original, "a &&\nb")
        self.assertEqual(one.killed_by, "some_test A.B")
        self.assertEqual(two.equivalent, "why")

    def test_refuses_a_line_that_is_no_field_and_a_field_given_twice(self):
        for text in ("[one]\nrul: x\n", "rule: x\n", "[one]\nrule: x\nrule: y\n"):
            with self.assertRaises(mutants.TableError):
                self.read(text)

    def test_finds_an_expression_however_its_lines_are_broken(self):
        self.assertEqual(self.findings("f(\n    a ==\n      b);", mutant("one", "f(a == b)", "c")), [])

    def test_does_not_take_a_part_of_a_word_for_the_word(self):
        self.assertEqual(self.findings("votes + vote", mutant("one", "vote", "c")), [])

    def test_reports_what_does_not_match_exactly_once(self):
        self.assertIn("0 times", self.findings("a", mutant("one", "b", "c"))[0])
        self.assertIn("2 times", self.findings("b b", mutant("one", "b", "c"))[0])
        self.assertEqual(self.findings("x(b) y(b)", mutant("one", "b", "c", within="y(b)")), [])

    def test_reports_a_mutant_that_changes_nothing_is_doubled_or_has_no_test(self):
        self.assertIn("equals", self.findings("a b", mutant("one", "a b", "a  b"))[0])
        self.assertIn("second mutant", self.findings("a b", mutant("one", "a", "c"), mutant("one", "b", "c"))[0])
        self.assertIn("killed by", self.findings("a", mutant("one", "a", "c", **{"killed by": ""}))[0])
        self.assertIn("statement", self.findings("a;", mutant("one", "a;", "c"))[0])

    def test_reports_half_an_expression(self):
        self.assertIn("brackets", self.findings("f(a)", mutant("one", "f(a", "g(a"))[0])
        self.assertEqual(self.findings('f(")")', mutant("one", 'f(")")', "c")), [])

    def test_reports_places_that_overlap_in_part(self):
        self.assertIn("overlap", self.findings("a + b + c", mutant("one", "a + b", "x"), mutant("two", "b + c", "y"))[0])

    def test_an_expression_becomes_a_conditional_expression(self):
        self.assertEqual(self.instrumented("if (a && b) c();", mutant("one", "a", "true")),
                         "if ((one ? (true) : (bool(a))) && b) c();")

    def test_a_statement_becomes_a_block(self):
        self.assertEqual(self.instrumented("if (a) b(); else c();", mutant("one", "b();", ";")),
                         "if (a) { if (one) { ; } else { b(); } } else c();")

    def test_a_place_within_another_stays_switchable(self):
        self.assertEqual(self.instrumented("x = a && b;", mutant("one", "b", "true"), mutant("two", "a && b", "false")),
                         "x = (two ? (false) : (bool(a && (one ? (true) : (bool(b))))));")

    def test_two_mutants_of_one_place_are_asked_in_turn(self):
        self.assertEqual(self.instrumented("x = a;", mutant("one", "a", "b"), mutant("two", "a", "c")),
                         "x = (one ? (b) : ((two ? (c) : (a))));")

    def test_writes_only_copies_that_changed_and_removes_the_others(self):
        (self.root / "a.cc").write_text("x = a;")
        places, _ = mutants.find_places([mutant("one", "a", "b")], self.root)
        copies = self.root / "copies"
        self.assertEqual(mutants.write_copies(places, self.root, copies), ["a.cc"])
        written = (copies / "a.cc").stat().st_mtime_ns
        mutants.write_copies(places, self.root, copies)
        self.assertEqual((copies / "a.cc").stat().st_mtime_ns, written)
        mutants.write_copies({}, self.root, copies)
        self.assertFalse((copies / "a.cc").exists())


if __name__ == "__main__":
    unittest.main()
