/* Damaged model files: whatever a pair's bytes are, the headers are read without harm, the probe
 * runs in a child, and what it accepts does not crash the process that loads it. */
#include "tiny.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <locale.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
  FLIPS = 35,      /* of a header, each in a file of its own */
  LONG_FACTOR = 8, /* MANAKO_TEST_LONG */
  CUTS = 12,
  CHILD_SECONDS = 120, /* a hang ends as a crash does */
};

typedef enum { MODEL, MMPROJ } Which;
static const char *const file_names[] = {"model.gguf", "mmproj.gguf"};

typedef enum { REFUSED_BY_HEADER, REFUSED_BY_PROBE, CRASHED_IN_PROBE, ACCEPTED } Verdict;

/* ---- The files ---- */

/* A pair in a folder of its own, of which one file is damaged over and over. */
typedef struct {
  char *folder;
  TinyPair pair;
  guint8 *bytes[2]; /* as they should be */
  gsize sizes[2];
  gsize headers[2];
  guint counts[ACCEPTED + 1];
} Bench;

/* Where the tensors' data begins: behind the last tensor's name. */
static gsize header_size(const guint8 *bytes, gsize size, const char *last_tensor) {
  const guint8 *found = memmem(bytes, size, last_tensor, strlen(last_tensor));
  g_assert_nonnull(found);
  return (gsize)(found - bytes) + strlen(last_tensor) + 32;
}

static void bench_put(const Bench *bench, Which which, const guint8 *bytes, gsize size) {
  g_autofree char *path = g_build_filename(bench->folder, file_names[which], NULL);
  g_autoptr(GError) error = NULL;
  g_remove(path); /* else what is longer than the new bytes would stay */
  g_file_set_contents_full(path, (const char *)bytes, (gssize)size, G_FILE_SET_CONTENTS_NONE, 0600,
                           &error);
  g_assert_no_error(error);
}

static void bench_init(Bench *bench, const char *family, const char *last_of_model,
                       const char *last_of_mmproj) {
  memset(bench, 0, sizeof *bench);
  g_autoptr(GError) error = NULL;
  bench->folder = g_dir_make_tmp("manako-mutants-XXXXXX", &error);
  g_assert_no_error(error);
  for (Which which = MODEL; which <= MMPROJ; which++) {
    g_autofree char *path = tiny_path(family, file_names[which]);
    g_file_get_contents(path, (char **)&bench->bytes[which], &bench->sizes[which], &error);
    g_assert_no_error(error);
    bench_put(bench, which, bench->bytes[which], bench->sizes[which]);
  }
  bench->headers[MODEL] = header_size(bench->bytes[MODEL], bench->sizes[MODEL], last_of_model);
  bench->headers[MMPROJ] = header_size(bench->bytes[MMPROJ], bench->sizes[MMPROJ], last_of_mmproj);
  tiny_pair(&bench->pair, family);
  g_free(bench->pair.model);
  g_free(bench->pair.mmproj);
  bench->pair.config.model = bench->pair.model =
      g_build_filename(bench->folder, file_names[MODEL], NULL);
  bench->pair.config.mmproj = bench->pair.mmproj =
      g_build_filename(bench->folder, file_names[MMPROJ], NULL);
}

static void bench_clear(Bench *bench) {
  g_test_message("refused by header %u, refused by probe %u, crashed in probe %u, accepted %u",
                 bench->counts[REFUSED_BY_HEADER], bench->counts[REFUSED_BY_PROBE],
                 bench->counts[CRASHED_IN_PROBE], bench->counts[ACCEPTED]);
  g_remove(bench->pair.model);
  g_remove(bench->pair.mmproj);
  g_rmdir(bench->folder);
  tiny_pair_clear(&bench->pair);
  g_free(bench->folder);
  g_free(bench->bytes[MODEL]);
  g_free(bench->bytes[MMPROJ]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Bench, bench_clear)

/* ---- A pair is tried ---- */

static int probe_main(const char *model, const char *mmproj) {
  alarm(CHILD_SECONDS);
  setrlimit(RLIMIT_CORE, &(struct rlimit){0});
  MnkVlmConfig config;
  mnk_vlm_config_init(&config);
  config.model = model;
  config.mmproj = mmproj;
  config.context = 512;
  config.threads = config.threads_batch = 1;
  g_autoptr(GError) error = NULL;
  if (mnk_vlm_probe(&config, &error))
    return 0;
  g_assert_nonnull(error);
  g_assert_cmpstr(error->message, !=, "");
  return 1;
}

static Verdict probe(const Bench *bench) {
  g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
      G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE);
  /* An abort would start a debugger. */
  g_subprocess_launcher_setenv(launcher, "GGML_NO_BACKTRACE", "1", TRUE);
  g_autoptr(GError) error = NULL;
  g_autoptr(GSubprocess) child = g_subprocess_launcher_spawn(
      launcher, &error, "/proc/self/exe", "--probe", bench->pair.model, bench->pair.mmproj, NULL);
  g_assert_no_error(error);
  g_subprocess_wait(child, NULL, &error);
  g_assert_no_error(error);
  if (g_subprocess_get_if_exited(child) && g_subprocess_get_exit_status(child) == 0)
    return ACCEPTED;
  if (g_subprocess_get_if_exited(child) && g_subprocess_get_exit_status(child) == 1)
    return REFUSED_BY_PROBE;
  return CRASHED_IN_PROBE;
}

/* Another picture and more words than the probe had. What comes of it does not matter. */
static void use(const Bench *bench) {
  g_autoptr(MnkVlm) vlm = mnk_vlm_load(&bench->pair.config, NULL);
  if (!vlm)
    return;
  MnkFrame *picture = tiny_picture(224, 112, 5);
  g_autoptr(MnkTokens) tokens = mnk_vlm_encode(vlm, &picture, 1, NULL, NULL);
  mnk_frame_unref(picture);
  const MnkVlmPart parts[] = {
      {.kind = MNK_VLM_USER},
      {.kind = MNK_VLM_TOKENS, .tokens = tokens},
      {.kind = MNK_VLM_TEXT, .text = "what happened before the dog runs across the street?"},
  };
  MnkVlmRequest request = {.parts = parts, .n_parts = G_N_ELEMENTS(parts), .tokens_max = 4};
  MnkVlmAnswer answer = {0};
  if (tokens && tiny_ask(vlm, &request, &answer, NULL))
    mnk_vlm_answer_clear(&answer);
}

static Verdict try_pair(Bench *bench) {
  MnkVlmFiles files;
  g_autoptr(GError) error = NULL;
  Verdict verdict = REFUSED_BY_HEADER;
  if (mnk_vlm_inspect(bench->pair.model, bench->pair.mmproj, 512, &files, &error))
    verdict = probe(bench);
  else
    g_assert_cmpstr(error->message, !=, "");
  if (verdict == ACCEPTED)
    use(bench);
  bench->counts[verdict]++;
  return verdict;
}

static Verdict try_damaged(Bench *bench, Which which, const guint8 *bytes, gsize size) {
  bench_put(bench, which, bytes, size);
  Verdict verdict = try_pair(bench);
  bench_put(bench, which, bench->bytes[which], bench->sizes[which]);
  return verdict;
}

/* ---- Damage ---- */

typedef struct {
  const char *family;
  Which which;
  const char *what;  /* for the one who reads that it failed */
  const char *where; /* a text in the file */
  int skip;          /* from behind that text to the bytes that change */
  gsize n;
  const char *bytes;
} Edit;

enum {
  VALUE = 4,      /* of a key: behind its type */
  ELEMENTS = 16,  /* of an array: behind its type, its elements' type and their number */
  TYPE_OF_1D = 12 /* of a tensor's entry: behind its number of dimensions and its size */
};
#define U32(value) 4, value

/* What the libraries are known to die of, or to take without a word. */
static const Edit edits[] = {
    {"qwen25vl", MODEL, "no layers", "qwen2vl.block_count", VALUE, U32("\0\0\0\0")},
    {"qwen25vl", MODEL, "too many layers", "qwen2vl.block_count", VALUE, U32("\0\20\0\0")},
    {"qwen25vl", MODEL, "more layers than there are", "qwen2vl.block_count", VALUE,
     U32("\3\0\0\0")},
    {"qwen25vl", MODEL, "no heads", "qwen2vl.attention.head_count", VALUE, U32("\0\0\0\0")},
    {"qwen25vl", MODEL, "heads that do not divide", "qwen2vl.attention.head_count", VALUE,
     U32("\3\0\0\0")},
    {"qwen25vl", MODEL, "another width", "qwen2vl.embedding_length", VALUE, U32("\100\0\0\0")},
    {"qwen25vl", MODEL, "no width", "qwen2vl.embedding_length", VALUE, U32("\0\0\0\0")},
    {"qwen25vl", MODEL, "sections of nothing", "qwen2vl.rope.dimension_sections", ELEMENTS, 16,
     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"},
    {"qwen25vl", MODEL, "sections too large", "qwen2vl.rope.dimension_sections", ELEMENTS,
     U32("\0\20\0\0")},
    {"qwen25vl", MODEL, "a token twice", "<|vision_pad|>", -14, 14, "<|vision_end|>"},
    {"qwen25vl", MODEL, "no such splitter", "tokenizer.ggml.pre", VALUE + 8, 5, "qwenX"},
    {"qwen25vl", MODEL, "no such vocabulary", "tokenizer.ggml.model", VALUE + 8, 4, "gptX"},
    {"qwen25vl", MODEL, "no output norm", "output_norm.weight", -1, 1, "X"},
    {"qwen25vl", MODEL, "no bias", "blk.0.attn_q.bias", -1, 1, "X"},
    {"qwen25vl", MODEL, "no architecture", "general.architecture", -1, 1, "X"},
    {"qwen25vl", MMPROJ, "no layers", "clip.vision.block_count", VALUE, U32("\0\0\0\0")},
    {"qwen25vl", MMPROJ, "more layers", "clip.vision.block_count", VALUE, U32("\10\0\0\0")},
    {"qwen25vl", MMPROJ, "no heads", "clip.vision.attention.head_count", VALUE, U32("\0\0\0\0")},
    {"qwen25vl", MMPROJ, "heads that do not divide", "clip.vision.attention.head_count", VALUE,
     U32("\7\0\0\0")},
    {"qwen25vl", MMPROJ, "no patches", "clip.vision.patch_size", VALUE, U32("\0\0\0\0")},
    {"qwen25vl", MMPROJ, "other patches", "clip.vision.patch_size", VALUE, U32("\20\0\0\0")},
    {"qwen25vl", MMPROJ, "another width", "clip.vision.embedding_length", VALUE, U32("\40\0\0\0")},
    {"qwen25vl", MMPROJ, "another output", "clip.vision.projection_dim", VALUE, U32("\100\0\0\0")},
    {"qwen25vl", MMPROJ, "no picture", "clip.vision.image_size", VALUE, U32("\0\0\0\0")},
    {"qwen25vl", MMPROJ, "no pattern", "clip.vision.n_wa_pattern", VALUE, U32("\0\0\0\0")},
    {"qwen25vl", MMPROJ, "no contrast", "clip.vision.image_std", ELEMENTS, 12,
     "\0\0\0\0\0\0\0\0\0\0\0\0"},
    {"qwen25vl", MMPROJ, "no bias", "v.blk.0.attn_q.bias", -1, 1, "X"},
    {"qwen25vl", MMPROJ, "no patch kernel", "v.patch_embd.weight", -1, 1, "X"},
    {"qwen25vl", MMPROJ, "no merger", "mm.0.weight", -1, 1, "X"},
    {"qwen25vl", MMPROJ, "a bias of another type", "v.blk.0.attn_q.bias", TYPE_OF_1D,
     U32("\1\0\0\0")},
    {"qwen25vl", MMPROJ, "a bias of no type", "v.blk.0.attn_q.bias", TYPE_OF_1D, U32("\377\0\0\0")},
    {"qwen25vl", MMPROJ, "another projector", "qwen2.5vl_merger", -16, 16, "qwen2vl_merger\0\0"},
    {"smolvlm", MMPROJ, "no places", "v.position_embd.weight", -1, 1, "X"},
    {"smolvlm", MMPROJ, "quantised places", "v.position_embd.weight", 4 + 16, U32("\10\0\0\0")},
    {"smolvlm", MMPROJ, "a scale of nothing", "clip.vision.projector.scale_factor", VALUE,
     U32("\0\0\0\0")},
    {"smolvlm", MMPROJ, "a scale that does not divide", "clip.vision.projector.scale_factor", VALUE,
     U32("\3\0\0\0")},
    {"gemma3", MODEL, "no window", "gemma3.attention.sliding_window", VALUE, U32("\0\0\0\0")},
    {"gemma3", MODEL, "other keys", "gemma3.attention.key_length", VALUE, U32("\40\0\0\0")},
    {"gemma3", MMPROJ, "a larger picture", "clip.vision.image_size", VALUE, U32("\340\0\0\0")},
};

/* The last tensor of each file's table, behind which its data begins. */
static const struct {
  const char *family, *model, *mmproj;
} last_tensors[] = {
    {"qwen25vl", "blk.1.ffn_down.weight", "mm.2.bias"},
    {"smolvlm", "blk.1.ffn_down.weight", "mm.model.fc.weight"},
    {"gemma3", "blk.5.ffn_down.weight", "mm.soft_emb_norm.weight"},
};

static void open_bench(Bench *bench, const char *family) {
  for (guint i = 0; i < G_N_ELEMENTS(last_tensors); i++)
    if (g_str_equal(last_tensors[i].family, family))
      bench_init(bench, family, last_tensors[i].model, last_tensors[i].mmproj);
}

static void test_whole_pairs_are_accepted(void) {
  for (guint i = 0; i < G_N_ELEMENTS(last_tensors); i++) {
    g_auto(Bench) bench = {0};
    open_bench(&bench, last_tensors[i].family);
    g_assert_cmpint(try_pair(&bench), ==, ACCEPTED);
  }
}

static void test_contradictions_are_never_accepted(void) {
  for (guint f = 0; f < G_N_ELEMENTS(last_tensors); f++) {
    g_auto(Bench) bench = {0};
    open_bench(&bench, last_tensors[f].family);
    for (guint i = 0; i < G_N_ELEMENTS(edits); i++) {
      const Edit *edit = &edits[i];
      if (!g_str_equal(edit->family, last_tensors[f].family))
        continue;
      gsize size = bench.sizes[edit->which];
      g_autofree guint8 *bytes = g_memdup2(bench.bytes[edit->which], size);
      guint8 *found = memmem(bytes, size, edit->where, strlen(edit->where));
      g_assert_nonnull(found);
      memcpy(found + strlen(edit->where) + edit->skip, edit->bytes, edit->n);
      Verdict verdict = try_damaged(&bench, edit->which, bytes, size);
      g_test_message("%s, %s, %s: %d", edit->family, file_names[edit->which], edit->what, verdict);
      g_assert_cmpint(verdict, !=, ACCEPTED);
    }
  }
}

static void test_cut_files_are_never_accepted(void) {
  g_auto(Bench) bench = {0};
  open_bench(&bench, "qwen25vl");
  for (Which which = MODEL; which <= MMPROJ; which++)
    for (guint i = 0; i < CUTS; i++) {
      gsize header = bench.headers[which], size = bench.sizes[which];
      /* Half of the cuts fall within the header. */
      gsize left = i < CUTS / 2 ? header * i / (CUTS / 2)
                                : header + (size - 1 - header) * (i - CUTS / 2) / (CUTS / 2 - 1);
      Verdict verdict = try_damaged(&bench, which, bench.bytes[which], left);
      g_test_message("%s cut to %zu of %zu: %d", file_names[which], left, size, verdict);
      g_assert_cmpint(verdict, !=, ACCEPTED);
    }
}

static void test_files_in_the_wrong_place_are_never_accepted(void) {
  g_auto(Bench) bench = {0};
  open_bench(&bench, "qwen25vl");
  for (Which which = MODEL; which <= MMPROJ; which++) {
    Which other = which == MODEL ? MMPROJ : MODEL;
    g_assert_cmpint(try_damaged(&bench, which, bench.bytes[other], bench.sizes[other]), !=,
                    ACCEPTED);
    g_autofree char *stranger = tiny_path("smolvlm", file_names[which]);
    g_autofree char *bytes = NULL;
    gsize size = 0;
    g_assert_true(g_file_get_contents(stranger, &bytes, &size, NULL));
    g_assert_cmpint(try_damaged(&bench, which, (guint8 *)bytes, size), !=, ACCEPTED);
    memset(bytes, 'x', size);
    g_assert_cmpint(try_damaged(&bench, which, (guint8 *)bytes, size), !=, ACCEPTED);
  }
}

/* A flipped bit may leave the file good; then it is used. */
static void test_flipped_bits_hurt_nobody(gconstpointer data) {
  const char *family = data;
  guint rounds = FLIPS * (g_getenv("MANAKO_TEST_LONG") ? LONG_FACTOR : 1);
  g_auto(Bench) bench = {0};
  open_bench(&bench, family);
  g_autoptr(GRand) rand = g_rand_new_with_seed(g_str_hash(family));
  for (Which which = MODEL; which <= MMPROJ; which++)
    for (guint i = 0; i < rounds; i++) {
      g_autofree guint8 *bytes = g_memdup2(bench.bytes[which], bench.sizes[which]);
      /* Most of a text model's header is words: half of the flips fall before them or behind. */
      gsize header = bench.headers[which], at = (gsize)g_rand_int_range(rand, 0, (gint32)header);
      if (i % 2)
        at = at % 2 ? at % 2048 : header - 1 - at % 2048;
      bytes[at] ^= (guint8)(1 << g_rand_int_range(rand, 0, 8));
      try_damaged(&bench, which, bytes, bench.sizes[which]);
    }
  g_assert_cmpuint(bench.counts[ACCEPTED], >, 0);
  g_assert_cmpuint(bench.counts[ACCEPTED], <, 2 * rounds);
}

int main(int argc, char **argv) {
  if (argc == 4 && g_str_equal(argv[1], "--probe"))
    return probe_main(argv[2], argv[3]);
  g_test_init(&argc, &argv, NULL);
  if (!mnk_vlm_is_built()) {
    g_print("1..0 # SKIP built without a vision-language model\n");
    return 0;
  }
  g_test_add_func("/mutants/whole", test_whole_pairs_are_accepted);
  g_test_add_func("/mutants/contradictions", test_contradictions_are_never_accepted);
  g_test_add_func("/mutants/cut", test_cut_files_are_never_accepted);
  g_test_add_func("/mutants/wrong-place", test_files_in_the_wrong_place_are_never_accepted);
  g_test_add_data_func("/mutants/flips-qwen", "qwen25vl", test_flipped_bits_hurt_nobody);
  g_test_add_data_func("/mutants/flips-smolvlm", "smolvlm", test_flipped_bits_hurt_nobody);
  return g_test_run();
}
