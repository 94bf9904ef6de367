// All pipelines in the order of creation, with what people vary as arguments. All arguments are strings:
//   pachctl create pipeline --jsonnet pipelines/ambient-music.jsonnet --arg image_prefix=registry.example.com/me --arg gpus=0
// With its defaults it renders exactly the JSON files beside it, which are the canonical form; a test holds them equal.
// gpus=0 renders music-transformer-cpu.json in the place of music-transformer.json.

function(image_prefix='ambient-music-generation', image_tag='0.1.0', epochs='500', gpus='1', workers='2')
  local gpu_count = std.parseInt(gpus);
  local worker_count = std.parseInt(workers);

  local image(name, suffix='') = '%s/%s:%s%s' % [image_prefix, name, image_tag, suffix];
  local pfs(repo, glob) = { pfs: { repo: repo, glob: glob } };
  // The request is also the limit: a worker that grows over it ends, and takes no other pod with it.
  local resources(cpu, memory) = {
    resource_requests: { cpu: cpu, memory: memory },
    resource_limits: { memory: memory },
  };
  local stage(name, description, image, cmd, input) = {
    pipeline: { name: name },
    description: description,
    transform: { image: image, cmd: ['python3', '-m'] + cmd },
    input: input,
    datum_tries: 1,
    autoscaling: true,
  };
  // One bad file ends recovered and stops no other; datums go to several workers.
  local per_file = {
    transform+: { err_cmd: ['true'] },
    parallelism_spec: { constant: worker_count },
  };
  // Loaders hand batches over in shared memory, of which a container has 64 MB unless it is patched in.
  local shared_memory = std.join(', ', [
    '[{"op": "add", "path": "/volumes/-", "value": {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}}',
    '{"op": "add", "path": "/containers/0/volumeMounts/-", "value": {"name": "dshm", "mountPath": "/dev/shm"}}]',
  ]);
  local training = if gpu_count == 0 then {
    description: 'Fine-tunes the Music Transformer on all pieces, without a GPU.',
    transform+: { image: image('music-transformer') },
  } + resources(2, '3Gi') else {
    description: 'Fine-tunes the Music Transformer on all pieces, on %s.' % (
      if gpu_count == 1 then 'one GPU' else gpus + ' GPUs'
    ),
    transform+: { image: image('music-transformer', '-gpu') },
    resource_requests: { cpu: 2, memory: '8Gi' },
    resource_limits: { memory: '14336M', gpu: { type: 'nvidia.com/gpu', number: gpu_count } },
    tolerations: [{ key: 'nvidia.com/gpu', operator: 'EXISTS', effect: 'NO_SCHEDULE' }],
    pod_patch: shared_memory,
  };

  [
    stage(
      'audio-processed',
      'Gives every recording a name that all later stages and Pachyderm accept; songs are passed on by reference.',
      image('audio'),
      ['stages.rename', '--link', '--input', '/pfs/audio-unprocessed', '--output', '/pfs/out'],
      { pfs: { repo: 'audio-unprocessed', glob: '/', empty_files: true } },
    ) + resources(0.5, '256Mi'),
    stage(
      'audio-processed-wav',
      'Turns each recording into 16 kHz mono WAV with ffmpeg.',
      image('audio'),
      ['stages.to_wav', '--input', '/pfs/audio-processed', '--output', '/pfs/out'],
      pfs('audio-processed', '/*'),
    ) + per_file + resources(1, '512Mi'),
    stage(
      'midi',
      'Transcribes each recording to MIDI with Onsets and Frames.',
      image('onsets-and-frames'),
      ['stages.transcribe', '--input', '/pfs/audio-processed-wav', '--output', '/pfs/out'],
      pfs('audio-processed-wav', '/*'),
    ) + per_file + resources(2, '2Gi'),
    stage(
      'transformer-preprocess',
      'Turns each MIDI file into performance tokens, one TFRecord file a piece.',
      image('music-transformer'),
      ['stages.preprocess', '/pfs/midi', '/pfs/out'],
      pfs('midi', '/*'),
    ) + per_file + resources(1, '1Gi'),
    stage(
      'music-transformer',
      '',
      '',
      ['stages.train', '--epochs', epochs, '--save_path', '/pfs/out', '--input_path', '/pfs/transformer-preprocess'],
      pfs('transformer-preprocess', '/'),
    ) + training,
    stage(
      'generated-music',
      'Composes one new piece from each primer with the newest model.',
      image('generate'),
      [
        'stages.generate', '--load_path', '/pfs/music-transformer', '--inputs', '/pfs/seeds',
        '--length', '2048', '--save_path', '/pfs/out',
      ],
      { cross: [pfs('seeds', '/*'), pfs('music-transformer', '/')] },
    ) + per_file + resources(1, '1Gi'),
    stage(
      'rendered-music',
      'Renders each new piece as an MP3 on the instrument that suits it, with its picture.',
      image('audio'),
      ['stages.render', '--input', '/pfs/generated-music', '--output', '/pfs/out', '--picture'],
      pfs('generated-music', '/*'),
    ) + per_file + resources(1, '1Gi'),
  ]
