"""Recognises the small text files that stand in for large ones until those are downloaded."""

_LFS = b"version https://git-lfs.github.com/spec/v1"
_ANNEX = (b"/annex/objects/", b"../.git/annex/objects/", b".git/annex/objects/")
_LONGEST = 32_768  # bytes; Git LFS's own bound is 1024


def check_no_pointer(data: bytes) -> None:
    """Raises ValueError for a pointer of Git LFS or git-annex, with the command that gets the file."""
    if len(data) > _LONGEST:
        return
    if data.startswith(_LFS):
        raise ValueError(
            "a pointer file of Git LFS, not the file itself; run `git lfs pull` where the repository was cloned"
        )
    if data.startswith(_ANNEX):
        raise ValueError(
            "a pointer file of git-annex, not the file itself; run `git annex get .` where the repository was cloned"
        )
