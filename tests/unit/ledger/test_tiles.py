import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import ProofError, StoreError, VerificationError
from ledger.merkle import EMPTY_ROOT, leaf_hash, root_of, verify_consistency, verify_inclusion
from ledger.tiles import (
    MAX_ENTRY_BYTES,
    TILE_WIDTH,
    Edge,
    InvalidPath,
    Tile,
    TileRef,
    consistency_proof,
    consistency_tiles,
    edge_tiles,
    entries_path,
    format_bundle,
    inclusion_proof,
    inclusion_tiles,
    parse_bundle,
    parse_path,
    partial_width,
    root_at,
    tile_path,
    tiles_at,
)

COUNT = 70_000  # two full levels of tiles and the beginning of a third
LEAVES = [number.to_bytes(32, "big") for number in range(COUNT)]
INDEXES = st.integers(0, (1 << 63) - 1)
WIDTHS = st.integers(1, TILE_WIDTH)


def by_definition(size):
    """Every tile of a tree, each hash by its definition rather than from the level below."""
    tiles = {}
    level, span = 0, 1
    while size >= span:
        hashes = (
            LEAVES[:size]
            if span == 1
            else [root_of(LEAVES[low : low + span]) for low in range(0, size - span + 1, span)]
        )
        for start in range(0, len(hashes), TILE_WIDTH):
            tiles[level, start // TILE_WIDTH] = b"".join(hashes[start : start + TILE_WIDTH])
        level, span = level + 1, span * TILE_WIDTH
    return tiles


@pytest.fixture(scope="module")
def stored():
    return by_definition(COUNT)


@pytest.fixture(scope="module")
def read(stored):
    def reader(level, index):
        return stored[level, index]

    return reader


# --- Paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "ref"),
    [
        ("tile/0/000", TileRef(0, 0, 256)),
        ("tile/0/x001/x234/067", TileRef(0, 1_234_067, 256)),
        ("tile/0/x001/x234/067.p/12", TileRef(0, 1_234_067, 12)),
        ("tile/63/999.p/255", TileRef(63, 999, 255)),
        ("tile/1/x001/000.p/1", TileRef(1, 1000, 1)),
        ("tile/entries/x123/x456/789", TileRef(None, 123_456_789, 256)),
        ("tile/entries/012.p/7", TileRef(None, 12, 7)),
    ],
)
def test_a_path_names_level_index_and_width(path, ref):
    assert parse_path(path) == ref
    written = entries_path(ref.index, ref.width) if ref.level is None else tile_path(*ref)
    assert written == path


@given(st.none() | st.integers(0, 63), INDEXES, WIDTHS)
def test_paths_read_back_as_what_was_written(level, index, width):
    path = entries_path(index, width) if level is None else tile_path(level, index, width)
    assert parse_path(path) == TileRef(level, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/1000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/x/000",
        "tile/0/x000/005",
        "tile/0/x001",
        "tile/0/x001/x234",
        "tile/0/001/234",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/000.p/+5",
        "tile/0/000/p/5",
        "tile/0/000\n",
        "/tile/0/000",
        "tile//000",
        "tile/0/٠٠٠",
        "tile/0/000.p/²",
        "tile/0/../000",
        "tile/entries",
        "tile/Entries/000",
        "tile/entries/000.p/256",
        "tile/0/" + "x999/" * 6 + "999",
        "tile/0/" + "x999/" * 2_000 + "999",
    ],
)
def test_what_is_not_the_one_spelling_of_a_tile_is_refused(path):
    with pytest.raises(InvalidPath):
        parse_path(path)


@given(st.text(alphabet="tile/entrsx.p0123456789", max_size=40))
def test_a_path_is_refused_or_written_the_same_way(path):
    try:
        ref = parse_path(path)
    except InvalidPath:
        return
    assert path == (entries_path(ref.index, ref.width) if ref.level is None else tile_path(*ref))


@pytest.mark.parametrize(("index", "width"), [(-1, 256), (1 << 63, 256), (0, 0), (0, 257), (0, -3)])
def test_a_tile_that_can_not_be_has_no_path(index, width):
    with pytest.raises(InvalidPath):
        tile_path(0, index, width)
    with pytest.raises(InvalidPath):
        entries_path(index, width)


def test_the_tiles_of_a_tree_are_those_that_the_specification_counts():
    refs = list(tiles_at(70_000))
    assert sum(ref.level == 0 and ref.width == 256 for ref in refs) == 273
    assert [ref for ref in refs if ref.width < 256] == [TileRef(0, 273, 112), TileRef(1, 1, 17), TileRef(2, 0, 1)]
    assert len(refs) == 273 + 1 + 1 + 1 + 1
    assert list(tiles_at(0)) == []


@given(st.integers(0, 200_000))
def test_tiles_and_partial_widths_agree_and_hold_each_hash_once(size):
    refs = list(tiles_at(size))
    assert len({(ref.level, ref.index) for ref in refs}) == len(refs)
    for level in range(4):
        of_level = [ref for ref in refs if ref.level == level]
        assert sum(ref.width for ref in of_level) == size >> 8 * level
        assert [ref.width for ref in of_level if ref.width < 256] == [w for w in [partial_width(size, level)] if w]


@given(st.integers(0, 200_000), st.integers(0, 200_000))
def test_the_tiles_beyond_a_smaller_tree_are_those_that_it_has_not(one, other):
    old, new = sorted((one, other))
    assert list(tiles_at(new, old)) == [ref for ref in tiles_at(new) if ref not in set(tiles_at(old))]


# --- Entry bundles ---------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_bundles_read_back_as_what_was_written(entries):
    assert parse_bundle(format_bundle(entries)) == entries


def test_an_entry_of_65535_bytes_fits_into_a_bundle_and_none_larger():
    assert parse_bundle(format_bundle([b"", b"x" * MAX_ENTRY_BYTES])) == [b"", b"x" * MAX_ENTRY_BYTES]
    with pytest.raises(ValueError, match="65536 bytes"):
        format_bundle([b"x" * (MAX_ENTRY_BYTES + 1)])


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=5), st.data())
def test_a_bundle_cut_within_an_entry_is_refused(entries, data):
    bundle = format_bundle(entries)
    cut = data.draw(st.integers(1, len(bundle) - 1))
    boundaries = {len(format_bundle(entries[:count])) for count in range(len(entries))}
    if cut in boundaries:
        assert len(parse_bundle(bundle[:cut])) < len(entries)
    else:
        with pytest.raises(VerificationError, match="ends within"):
            parse_bundle(bundle[:cut])


# --- Roots and proofs out of tiles -----------------------------------------------------------------------------------


@given(st.one_of(st.integers(0, 600), st.integers(0, COUNT), st.sampled_from([255, 256, 257, 65_535, 65_536, 65_537])))
def test_the_root_out_of_tiles_is_the_root_of_the_leaves(read, size):
    assert root_at(read, size) == root_of(LEAVES[:size])


@given(st.one_of(st.integers(1, 700), st.integers(1, COUNT), st.integers(65_530, 65_550)), st.data())
def test_an_inclusion_proof_out_of_tiles_verifies_and_fails_for_a_flipped_bit(read, size, data):
    index = data.draw(st.integers(0, size - 1))
    root, proof = root_at(read, size), inclusion_proof(read, index, size)
    verify_inclusion(index, size, LEAVES[index], proof, root)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        proof[at] = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        with pytest.raises(ProofError):
            verify_inclusion(index, size, LEAVES[index], proof, root)


@given(st.one_of(st.integers(1, 700), st.integers(1, COUNT), st.integers(65_530, 65_550)), st.data())
def test_a_consistency_proof_out_of_tiles_verifies_and_fails_for_a_flipped_bit(read, new, data):
    old = data.draw(st.integers(1, new))
    roots, proof = (root_at(read, old), root_at(read, new)), consistency_proof(read, old, new)
    verify_consistency(old, new, *roots, proof)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        proof[at] = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        with pytest.raises(ProofError):
            verify_consistency(old, new, *roots, proof)


def test_proofs_ask_only_for_what_the_tree_of_that_size_has(stored):
    size = 66_000
    having = by_definition(size)
    assert inclusion_proof(lambda level, index: having[level, index], 65_900, size) == inclusion_proof(
        lambda level, index: stored[level, index], 65_900, size
    )


def test_a_proof_reads_each_tile_once(stored):
    asked = []

    def read(level, index):
        asked.append((level, index))
        return stored[level, index]

    inclusion_proof(read, 12_345, COUNT)
    assert len(asked) == len(set(asked)) <= 5


@given(st.one_of(st.integers(1, 700), st.integers(1, COUNT), st.integers(65_530, 65_550)), st.data())
def test_the_tiles_told_ahead_are_those_that_are_read(stored, size, data):
    asked = set()

    def read(level, index):
        asked.add((level, index))
        return stored[level, index]

    other = data.draw(st.integers(1, size))
    for told, run in (
        (inclusion_tiles(other - 1, size), lambda: inclusion_proof(read, other - 1, size)),
        (consistency_tiles(other, size), lambda: consistency_proof(read, other, size)),
        (edge_tiles(size), lambda: root_at(read, size)),
    ):
        asked.clear()
        run()
        assert asked == set(told)
        assert len(told) == len(set(told))


def test_no_proof_for_a_leaf_outside_the_tree_nor_from_size_0(read):
    with pytest.raises(ProofError):
        inclusion_proof(read, 5, 5)
    with pytest.raises(ProofError):
        consistency_proof(read, 0, 5)
    assert consistency_proof(read, 5, 5) == []


def test_a_tile_that_holds_too_little_is_named(read):
    def short(level, index):
        return read(level, index)[: 20 * 32 - 1]

    with pytest.raises(StoreError, match=r"tile/0/000 holds 639 bytes, the tree needs 640"):
        root_at(short, 20)
    with pytest.raises(StoreError, match=r"tile/0/000"):
        inclusion_proof(short, 0, 40)


# --- The writer's edge -----------------------------------------------------------------------------------------------


def grow(edge, sizes):
    """Extend an edge to each of the sizes in turn; return the tiles that a store would then hold."""
    held = {}
    for size in sizes:
        edge.extend(LEAVES[edge.size : size])
        for tile in edge.take_dirty():
            assert 32 <= len(tile.hashes) <= 32 * TILE_WIDTH
            assert tile.hashes.startswith(held.get((tile.level, tile.index), b""))  # a partial tile is a prefix
            held[tile.level, tile.index] = tile.hashes
    return held


def test_an_edge_grown_leaf_by_leaf_has_the_root_of_the_leaves_at_every_size():
    edge = Edge()
    assert edge.root() == EMPTY_ROOT
    for size in range(1, 601):
        edge.extend(LEAVES[size - 1 : size])
        assert edge.size == size
        assert edge.root() == root_of(LEAVES[:size])


@given(st.lists(st.integers(0, COUNT), min_size=1, max_size=6).map(sorted))
def test_however_an_edge_grows_its_tiles_and_root_are_those_of_the_leaves(stored, sizes):
    edge = Edge()
    held = grow(edge, sizes)
    size = sizes[-1]
    assert edge.size == size
    assert edge.root() == root_of(LEAVES[:size])
    refs = {(ref.level, ref.index): ref.width for ref in tiles_at(size)}
    assert held == {place: stored[place][: 32 * width] for place, width in refs.items()}


@given(st.lists(st.integers(0, 1500), min_size=2, max_size=5).map(sorted))
def test_an_edge_read_from_a_store_goes_on_like_the_one_that_filled_it(read, sizes):
    first, *later = sizes
    edge = Edge.load(read, first)
    assert (edge.size, edge.root(), edge.take_dirty()) == (first, root_of(LEAVES[:first]), [])
    other = Edge()
    grow(other, [first])
    assert grow(edge, later) == grow(other, later)
    assert edge.root() == other.root()


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, COUNT - 300])
def test_an_edge_read_at_a_boundary_goes_on_to_the_right_root(read, size):
    edge = Edge.load(read, size)
    grow(edge, [size + 1, size + 300])
    assert edge.root() == root_of(LEAVES[: size + 300])


def test_changed_tiles_are_given_once_with_their_whole_content():
    edge = Edge()
    edge.extend(LEAVES[:255])
    assert edge.take_dirty() == [Tile(0, 0, b"".join(LEAVES[:255]))]
    assert edge.take_dirty() == []
    edge.extend(LEAVES[255:257])
    assert edge.take_dirty() == [
        Tile(0, 0, b"".join(LEAVES[:256])),
        Tile(0, 1, LEAVES[256]),
        Tile(1, 0, root_of(LEAVES[:256])),
    ]


def test_extending_by_nothing_changes_nothing():
    edge = Edge()
    edge.extend([])
    assert (edge.size, edge.root(), edge.take_dirty()) == (0, EMPTY_ROOT, [])


def test_a_copy_of_an_edge_grows_on_its_own():
    edge = Edge()
    edge.extend(LEAVES[:300])
    copy = edge.copy()
    copy.extend(LEAVES[300:700])
    assert (edge.size, edge.root()) == (300, root_of(LEAVES[:300]))
    assert (copy.size, copy.root()) == (700, root_of(LEAVES[:700]))
    assert [tile.index for tile in edge.take_dirty() if tile.level == 0] == [0, 1]
    assert [tile.index for tile in copy.take_dirty() if tile.level == 0] == [0, 1, 2]


# --- A public log ----------------------------------------------------------------------------------------------------


def test_the_public_log_reads_as_tiles_and_bundles_at_every_size(shared):
    folder = shared / "vectors/tessera-log"
    words = b"one two three four five six seven eit nain ten ileven twelf threeten fourten fivten".split()
    for size in range(1, 16):
        entries = parse_bundle((folder / entries_path(0, size)).read_bytes())
        assert entries == words[:size]
        assert format_bundle(entries) == (folder / entries_path(0, size)).read_bytes()
        edge = Edge()
        edge.extend([leaf_hash(entry) for entry in entries])
        assert edge.take_dirty() == [Tile(0, 0, (folder / tile_path(0, 0, size)).read_bytes())]
