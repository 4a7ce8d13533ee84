import torch

from i2i.games.pool import ImagePool


def images(first, count):
    return torch.arange(first, first + count).float().reshape(-1, 1, 1, 1)


def test_a_pool_of_nothing_gives_back_what_it_gets():
    fake, condition = images(0, 3), images(10, 3)
    assert ImagePool(0).exchange(fake, condition) == (fake, condition)


def test_until_it_is_full_it_shows_what_is_new():
    pool = ImagePool(4)
    assert torch.equal(pool.exchange(images(0, 4), None)[0], images(0, 4))


def test_when_full_it_shows_earlier_fakes_in_about_half_of_the_cases_and_loses_none():
    torch.manual_seed(0)
    pool = ImagePool(50)
    pool.exchange(images(0, 50), None)
    given, earlier = [], 0
    for first in range(50, 1050, 10):
        shown, _ = pool.exchange(images(first, 10), None)
        earlier += int((shown.flatten() < first).sum())
        given += shown.flatten().tolist()
    assert 400 < earlier < 600
    kept = pool.state()["fake"].flatten().tolist()
    # Each fake is shown once when new or once when it leaves, or is still kept.
    assert sorted(given + kept) == [float(n) for n in range(1050)]


def test_a_fake_stays_with_its_condition():
    torch.manual_seed(0)
    pool = ImagePool(5)
    for first in range(0, 100, 5):
        fake, condition = pool.exchange(images(first, 5), images(first + 1000, 5))
        assert torch.equal(condition, fake + 1000)


def test_restoring_goes_on_as_if_never_stopped():
    pool, other = ImagePool(3), ImagePool(3)
    pool.exchange(images(0, 3), None)
    other.restore(pool.state())
    made = []
    for each in (pool, other):
        torch.manual_seed(7)
        made.append(each.exchange(images(3, 20), None)[0])
    assert torch.equal(*made)


def test_it_keeps_values_not_views():
    pool = ImagePool(1)
    fake = images(1, 1)
    pool.exchange(fake, None)
    fake.zero_()
    assert pool.state()["fake"].item() == 1
