"""The targets say pass and miss in the right direction, and nothing when something is missing."""

import unittest

import table
import targets


def values(**known):
    """A value_of for judge() that knows contestants in the case tput-64 or rtt1-64."""
    return lambda name, case, key: known.get(name)


def verdict(relation, factor, against, **known):
    """What is said of one target."""
    target = targets.Target("tput-64", "rate", relation, factor, against)
    return targets.judge(target, values(**known)).verdict


class Verdicts(unittest.TestCase):
    def test_a_rate_must_be_a_multiple_of_the_best(self):
        self.assertEqual(verdict(">=", 2, ("a", "b"), saevt=20, a=10, b=5), "pass")
        self.assertEqual(verdict(">=", 2, ("a", "b"), saevt=20, a=5, b=10.1), "miss")

    def test_a_time_must_stay_below_a_multiple_of_the_shortest(self):
        self.assertEqual(verdict("<=", 1.5, ("a", "b"), saevt=15, a=10, b=20), "pass")
        self.assertEqual(verdict("<=", 1.5, ("a", "b"), saevt=15, a=20, b=9.9), "miss")

    def test_a_bound_of_its_own_needs_no_other(self):
        self.assertEqual(verdict("<=", 0.15, (), saevt=0.15), "pass")
        self.assertEqual(verdict("<=", 0.15, (), saevt=0.16), "miss")

    def test_openais_is_a_constant(self):
        self.assertEqual(verdict(">=", 300, ("openais",), saevt=5100000), "pass")
        self.assertEqual(verdict(">=", 300, ("openais",), saevt=5099999), "miss")

    def test_who_is_missing_is_not_beaten(self):
        self.assertEqual(verdict(">=", 2, ("a",), saevt=20), "not measured")
        self.assertEqual(verdict(">=", 2, ("a",), a=20), "not measured")


def sample(rate, calm):
    """A sample of contestant a in case c."""
    return {"of": "a", "case": "c", "rate": rate, "calm": calm, "lost": 0, "damaged": 0}


class Cells(unittest.TestCase):
    def test_calm_samples_count_alone_if_there_are_enough(self):
        calm = [sample(rate, True) for rate in (1, 2, 3)]
        restless = [sample(rate, False) for rate in (10, 11, 12)]
        self.assertEqual(table.cells_of(calm + restless)["a", "c"].median("rate"), 2)
        self.assertEqual(table.cells_of(calm[:2] + restless)["a", "c"].median("rate"), 10)

    def test_a_failed_sample_is_no_number(self):
        failed = {"of": "a", "case": "c", "error": "it broke", "calm": True}
        cell = table.cells_of([failed, sample(5, True)])["a", "c"]
        self.assertEqual((cell.median("rate"), cell.samples, cell.calm), (5, 1, 1))


if __name__ == "__main__":
    unittest.main()
