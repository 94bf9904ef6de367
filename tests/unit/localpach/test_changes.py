"""Each datum that runs has on record why: new, which of its files changed, a new salt, or someone's wish."""

from localpach.actions import pipelines


def reasons(world):
    return {each.label: each.why for each in world.datums() if each.state != "skipped"}


def test_new_datum_is_called_new(toy_pipeline):
    toy_pipeline.put("in@master", {"/b": "b"})
    assert reasons(toy_pipeline) == {"/b": "new"}


def test_changed_file_is_named(toy_pipeline):
    toy_pipeline.put("in@master", {"/file": "other"})
    assert reasons(toy_pipeline) == {"/file": "changed: /file"}


def test_files_of_a_directory_are_named_up_to_three(world):
    world.repo("in")
    world.put("in@master", {"/dir/a": "a", "/dir/b": "b", "/dir/c": "c"})
    world.create(world.toy())
    world.change("in@master", delete=["/dir/b"], put={"/dir/a": "A", "/dir/d": "d"})
    assert reasons(world) == {"/dir/": "changed: /dir/a, /dir/b (gone), /dir/d (new)"}
    world.put("in@master", {f"/dir/{name}": "other" for name in "acdef"})
    assert reasons(world) == {"/dir/": "changed: /dir/a, /dir/c, /dir/d and 2 more"}


def test_files_are_compared_with_the_commit_that_the_datum_ran_over(world):
    world.repo("in")
    world.put("in@master", {"/a": "1", "/b": "1"})
    world.create(world.toy(glob="/"))
    world.put("in@master", {"/a": "2"})
    world.put("in@master", {"/a": "1", "/b": "2"})
    assert reasons(world) == {"/": "changed: /a, /b"}


def test_reprocess_is_named_beside_the_file_that_changed_too(toy_pipeline):
    toy_pipeline.update(toy_pipeline.toy(), reprocess=True)
    assert reasons(toy_pipeline) == {"/file": "the pipeline was updated with --reprocess"}
    toy_pipeline.put("in@master", {"/file": "other"}, run=False)
    toy_pipeline.update(toy_pipeline.toy(), reprocess=True)
    assert reasons(toy_pipeline) == {"/file": "the pipeline was updated with --reprocess; changed: /file"}


def test_input_whose_file_changed_is_told_from_the_others_of_a_cross(world):
    world.repo("in", "model")
    world.put("in@master", {"/a": "a", "/b": "b"})
    world.put("model@master", {"/weights": "1"})
    cross = [{"pfs": {"repo": "in", "glob": "/*"}}, {"pfs": {"repo": "model", "glob": "/"}}]
    world.create({**world.toy(cmd=["true"]), "input": {"cross": cross}})
    world.put("model@master", {"/weights": "2"})
    assert set(reasons(world).values()) == {"changed: /weights"}
    world.put("in@master", {"/b": "B"})
    assert list(reasons(world).values()) == ["changed: /b"]


def test_recovered_restarted_and_every_job_have_reasons_of_their_own(world):
    world.repo("in")
    world.put("in@master", {"/a": "a"})
    world.create(world.toy(cmd=["false"], err_cmd=["true"]))
    world.put("in@master", {"/b": "b"})
    assert reasons(world) == {"/a": "recovered before, so it has no result to keep", "/b": "new"}
    world.update(world.toy())
    world.update(world.toy())
    (a, _) = world.datums()
    assert a.state == "skipped"
    with world.store.transaction():
        world.records.forget_datum("P", world.last().id, a.id)
    pipelines.update_pipelines(world.store, [world.parsed(world.toy())])
    world.run()
    assert reasons(world) == {"/a": "restarted by hand"}
    world.update(world.toy(reprocess_spec="every_job"))
    assert set(reasons(world).values()) == {"reprocess_spec is every_job"}
