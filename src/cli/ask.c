/* `manako ask`: watches a source to its end, then answers questions about it. */
#include "cli/ask_priv.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
  SPOOL_FRAMES = 128, /* at 1.5 s a frame, the time of small models on two cores: three minutes */
  AHEAD_FRAMES = 8,   /* are with the model's process while others wait here */
  TICK_MS = 150,
  COUNTERS_MS = 600, /* the model's process tells its counters at least this often */
};

typedef enum { WATCHING, LOOKING, ANSWERING, LISTENING } Phase;

typedef struct {
  MnkWatching watching;
  MnkSettings *settings; /* as given, with this command's defaults */
  MnkSettings *stream;   /* the same, less the prompt, which is the question here */
  char *folder;          /* of the timeline that goes again; NULL: the user's own is taken */
  MnkLocal *local;       /* NULL: no local model */
  MnkLocalStream *memory;
  MnkSpool *spool;
  guint64 handed;  /* frames to the local model */
  gint64 pts_ms;   /* how far the source has come */
  gint64 look_us;  /* since when it only looks */
  guint64 look_at; /* frames that were looked at by then */
  gboolean all_handed;
  MnkAsker *asker;
  MnkAskerCounters asked;
  MnkAsk *running;
  char *conversation;
  MnkLines *lines; /* with --chat */
  MnkOutput *output;
  Phase phase;
  gboolean told; /* a piece of the running answer */
  guint interrupts;
} Ask;

static void ask_next(Ask *ask, const char *question);

static void end_with(Ask *ask, GError *error) {
  if (ask->watching.failure == NULL)
    ask->watching.failure = error;
  else
    g_clear_error(&error);
  g_main_loop_quit(ask->watching.loop);
}

static void end_cancelled(Ask *ask) {
  end_with(ask, g_error_new_literal(MNK_ERROR, MNK_ERROR_CANCELLED, "stopped"));
}

static gboolean on_counters(gpointer user) {
  Ask *ask = user;
  g_main_loop_quit(ask->watching.loop);
  return G_SOURCE_REMOVE;
}

/* With --stats, what the last question cost is waited for. */
static void end_well(Ask *ask) {
  if (ask->memory != NULL && mnk_settings_bool(ask->settings, MNK_OPT_STATS))
    g_timeout_add(COUNTERS_MS, on_counters, ask);
  else
    g_main_loop_quit(ask->watching.loop);
}

/* ---- answers ---- */

static void listen_on(Ask *ask) {
  ask->phase = LISTENING;
  if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO)) {
    mnk_progress_hide(ask->watching.progress);
    fputs("> ", stderr);
  }
  mnk_lines_want(ask->lines);
}

static void on_line(const char *line, gpointer user) {
  Ask *ask = user;
  if (line == NULL) {
    end_well(ask);
    return;
  }
  g_autofree char *question = g_strstrip(g_strdup(line));
  if (*question == '\0')
    listen_on(ask);
  else
    ask_next(ask, question);
}

/* In a talk a question that fails ends nothing. */
static void on_failure(Ask *ask, const GError *error) {
  if (ask->lines == NULL) {
    end_with(ask, g_error_copy(error));
    return;
  }
  g_autofree char *message = mnk_text_escape(error->message);
  mnk_progress_hide(ask->watching.progress);
  fprintf(stderr, "%smanako: %s\n", ask->told ? "\n" : "", message);
  listen_on(ask);
}

static void on_piece(const char *text, gpointer user) {
  Ask *ask = user;
  GError *error = NULL;
  mnk_progress_hide(ask->watching.progress);
  ask->told = TRUE;
  if (!mnk_show_piece(ask->output, text, &error))
    end_with(ask, error);
}

static void on_done(const MnkAnswer *answer, const GError *error, gpointer user) {
  Ask *ask = user;
  GError *failure = NULL;
  ask->running = NULL;
  mnk_progress_hide(ask->watching.progress);
  if (error != NULL) {
    on_failure(ask, error);
    return;
  }
  g_free(ask->conversation);
  ask->conversation = g_strdup(answer->conversation);
  gboolean json = mnk_settings_bool(ask->settings, MNK_OPT_JSON);
  if (!(json ? mnk_show_json(ask->output, answer, &failure)
             : mnk_show_answer(ask->output, answer, ask->told, &failure)))
    end_with(ask, failure);
  else if (ask->lines != NULL)
    listen_on(ask);
  else
    end_well(ask);
}

static void ask_next(Ask *ask, const char *question) {
  gboolean json = mnk_settings_bool(ask->settings, MNK_OPT_JSON);
  MnkAskEvents events = {.piece = json ? NULL : on_piece, .done = on_done};
  MnkAskRequest request = {
      .stream = mnk_stream_id(ask->watching.stream),
      .question = question,
      .owner = "",
      .conversation = ask->conversation,
      .system = "",
      .memory = ask->memory,
      .backend = ask->watching.backend,
      .settings = ask->stream,
      .now_ms = mnk_stream_clock_ms(ask->watching.stream),
      .over = TRUE,
  };
  g_autoptr(GError) error = NULL;
  ask->phase = ANSWERING;
  ask->told = FALSE;
  ask->running = mnk_ask(ask->asker, &request, &events, ask, &error);
  if (ask->running == NULL)
    on_failure(ask, error);
}

static void ask_first(Ask *ask) {
  const char *question = mnk_settings_string(ask->settings, MNK_OPT_PROMPT);
  if (question != NULL)
    ask_next(ask, question);
  else
    listen_on(ask);
}

/* ---- frames for the local model ---- */

static guint64 looked_at(const Ask *ask, MnkLocalMemory *memory) {
  mnk_local_memory(ask->memory, memory);
  return memory->encoded + memory->left_out;
}

/* A few frames are always with the model's process; the others wait here, where they can still be
 * thinned out. */
static void feed(Ask *ask) {
  MnkLocalMemory memory;
  MnkSpooled frame;
  while (looked_at(ask, &memory) + AHEAD_FRAMES > ask->handed &&
         mnk_spool_take(ask->spool, &frame)) {
    mnk_local_frame(ask->memory, frame.jpeg, frame.pts_ms, frame.importance, frame.cut);
    g_bytes_unref(frame.jpeg);
    ask->handed++;
  }
}

static void on_frame(gint64 pts_ms, GBytes *jpeg, float importance, gboolean cut, gpointer user) {
  Ask *ask = user;
  MnkSpooled frame = {.jpeg = jpeg, .pts_ms = pts_ms, .importance = importance, .cut = cut};
  mnk_spool_add(ask->spool, &frame);
  feed(ask);
}

static void on_idle(gpointer user) {
  Ask *ask = user;
  if (ask->phase == LOOKING)
    ask_first(ask);
}

/* All frames are in: when the last of them are looked at, it is asked. */
static void check_all_handed(Ask *ask) {
  if (ask->all_handed || ask->phase != LOOKING || mnk_spool_count(ask->spool) > 0)
    return;
  ask->all_handed = TRUE;
  mnk_local_when_idle(ask->memory, on_idle, ask);
}

static void on_model_changed(gpointer user) {
  Ask *ask = user;
  if (mnk_local_state(ask->local) == MNK_LOCAL_FAILED)
    end_with(ask, g_error_new(MNK_ERROR, MNK_ERROR_MODEL, "%s", mnk_local_detail(ask->local)));
}

/* ---- progress ---- */

static void show_watching(Ask *ask) {
  g_autofree char *where = mnk_watching_where(&ask->watching, ask->pts_ms);
  if (ask->memory == NULL) {
    mnk_progress_show(ask->watching.progress, "%s", where);
    return;
  }
  MnkLocalMemory memory;
  looked_at(ask, &memory);
  guint64 left_out = memory.left_out + mnk_spool_left_out(ask->spool);
  mnk_progress_show(ask->watching.progress,
                    "%s; %" G_GUINT64_FORMAT " frames, the model looked at %" G_GUINT64_FORMAT
                    ", %" G_GUINT64_FORMAT " left out",
                    where,
                    ask->handed + mnk_spool_count(ask->spool) + mnk_spool_left_out(ask->spool),
                    memory.encoded, left_out);
}

static void show_looking(Ask *ask) {
  MnkLocalState state = mnk_local_state(ask->local);
  if (state != MNK_LOCAL_READY) {
    mnk_progress_show(ask->watching.progress, "The model: %s", mnk_local_state_name(state));
    return;
  }
  MnkLocalMemory memory;
  guint64 done = looked_at(ask, &memory);
  guint64 all = ask->handed + mnk_spool_count(ask->spool);
  gint64 now_us = mnk_clock_mono_us(mnk_clock_system());
  g_autofree char *left = NULL;
  if (done > ask->look_at && all > done)
    left = mnk_format_time_ms((now_us - ask->look_us) / 1000 * (gint64)(all - done) /
                              (gint64)(done - ask->look_at) / 1000 * 1000);
  mnk_progress_show(ask->watching.progress,
                    "Looking: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                    " frames%s%s (Ctrl-C asks now)",
                    done, all, left != NULL ? ", " : "", left != NULL ? left : "");
}

static gboolean on_tick(gpointer user) {
  Ask *ask = user;
  if (ask->memory != NULL)
    feed(ask);
  check_all_handed(ask);
  if (ask->phase == WATCHING)
    show_watching(ask);
  else if (ask->phase == LOOKING)
    show_looking(ask);
  else if (ask->phase == ANSWERING && !ask->told)
    mnk_progress_show(ask->watching.progress, "Thinking");
  return G_SOURCE_CONTINUE;
}

/* ---- events of the stream ---- */

/* It lies in the timeline, where the question finds it. */
static void on_caption(const MnkCaption *caption, gboolean durable, gpointer user) {
  Ask *ask = user;
  if (ask->watching.first_caption_us == 0)
    ask->watching.first_caption_us = mnk_clock_mono_us(mnk_clock_system());
}

static void on_opened(const char *info_json, gint64 duration_ms, gpointer user) {
  Ask *ask = user;
  mnk_watching_opened(&ask->watching, info_json, duration_ms);
}

static void on_progress(gint64 pts_ms, gpointer user) {
  Ask *ask = user;
  ask->pts_ms = pts_ms;
}

/* What was seen before a source broke off is asked about all the same. */
static void on_ended(const GError *error, gpointer user) {
  Ask *ask = user;
  MnkLocalMemory memory;
  gboolean stopped = g_error_matches(error, MNK_ERROR, MNK_ERROR_CANCELLED);
  if (error != NULL && !stopped && ask->watching.failure == NULL)
    ask->watching.failure = g_error_copy(error);
  if (mnk_stream_clock_ms(ask->watching.stream) < 0) {
    end_with(ask, g_error_new_literal(MNK_ERROR, MNK_ERROR_BAD_INPUT,
                                      "no picture was seen that could be asked about"));
    return;
  }
  mnk_store_flush(ask->watching.store, NULL);
  if (stopped || ask->memory == NULL) {
    ask_first(ask);
    return;
  }
  ask->phase = LOOKING;
  ask->look_us = mnk_clock_mono_us(mnk_clock_system());
  ask->look_at = looked_at(ask, &memory);
}

/* Ctrl-C ends the watching, then the looking, and what is known is asked about; else, or pressed
 * again before that, it ends the program. */
static gboolean on_interrupt(gpointer user) {
  Ask *ask = user;
  if (ask->phase == LOOKING)
    ask_first(ask);
  else if (ask->phase == WATCHING && ask->interrupts++ == 0)
    mnk_stream_stop(ask->watching.stream);
  else
    end_cancelled(ask);
  return G_SOURCE_CONTINUE;
}

static gboolean on_terminate(gpointer user) {
  end_cancelled(user);
  return G_SOURCE_CONTINUE;
}

/* ---- the command ---- */

/* Nothing else wants the processor, and a file need not be answered within seconds. */
static MnkSettings *settings_of_ask(const MnkSettings *given) {
  MnkSettings *settings = mnk_settings_copy(given);
  mnk_settings_set_default(settings, MNK_OPT_VISION_BUDGET, "1");
  return settings;
}

static gboolean check_question(const MnkSettings *settings, GError **error) {
  const char *question = mnk_settings_string(settings, MNK_OPT_PROMPT);
  gsize max = (gsize)mnk_settings_int(settings, MNK_OPT_QUESTION_MAX);
  if (question == NULL && mnk_settings_bool(settings, MNK_OPT_CHAT))
    return TRUE;
  if (question == NULL || *question == '\0')
    g_set_error_literal(
        error, MNK_ERROR, MNK_ERROR_USAGE,
        "there is no question; ask one with --prompt \"...\", or several with --chat");
  else if (strlen(question) > max)
    g_set_error(error, MNK_ERROR, MNK_ERROR_LIMIT,
                "the question is longer than --question-max allows, %" G_GSIZE_FORMAT " bytes",
                max);
  else if (!g_utf8_validate(question, -1, NULL))
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_BAD_INPUT, "the question is not UTF-8 text");
  else
    return TRUE;
  return FALSE;
}

/* The source is an argument or --video-file. Borrowed. */
static const char *source_of(const MnkSettings *settings, char **rest, GError **error) {
  const char *option = mnk_settings_string(settings, MNK_OPT_VIDEO_FILE);
  const char *source = rest[0] != NULL ? rest[0] : option;
  if (source == NULL || (rest[0] != NULL && option != NULL)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_USAGE, "%s; see manako ask --help",
                source == NULL ? "there is no source to watch"
                               : "the source is given twice, as an argument and by --video-file");
    return NULL;
  }
  if (g_str_equal(source, "-") && mnk_settings_bool(settings, MNK_OPT_CHAT)) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_USAGE,
                        "--chat reads questions from standard input, which is the source here");
    return NULL;
  }
  return source;
}

static gboolean prepare_store(Ask *ask, GError **error) {
  g_autoptr(GError) why = NULL;
  g_autofree char *path = NULL;
  if (mnk_settings_is_set(ask->settings, MNK_OPT_DB)) {
    path = mnk_cli_db_path(ask->settings);
  } else {
    ask->folder = g_dir_make_tmp("manako-ask-XXXXXX", &why);
    if (ask->folder == NULL) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_STORE, "a folder for the timeline cannot be made: %s",
                  why->message);
      return FALSE;
    }
    path = g_build_filename(ask->folder, "timeline.db", NULL);
  }
  ask->watching.store = mnk_store_open(path, MNK_STORE_WRITE, error);
  return ask->watching.store != NULL;
}

/* Captions are the template's: the model, whichever it is, is kept for the question. */
static gboolean prepare_stream(Ask *ask, const char *source, GError **error) {
  MnkStreamEvents events = {.caption = on_caption,
                            .opened = on_opened,
                            .progress = on_progress,
                            .frame = ask->local != NULL ? on_frame : NULL,
                            .ended = on_ended};
  MnkStreamConfig config = {.source = source, .settings = ask->stream, .keep_pictures = TRUE};
  if (!mnk_watching_prepare(&ask->watching, &config, &events, ask, error))
    return FALSE;
  if (ask->local == NULL)
    return TRUE;
  ask->spool = mnk_spool_new(SPOOL_FRAMES);
  ask->memory =
      mnk_local_open(ask->local, mnk_stream_id(ask->watching.stream), ask->stream, NULL, error);
  return ask->memory != NULL;
}

static gboolean prepare(Ask *ask, char **rest, GError **error) {
  const char *source = source_of(ask->settings, rest, error);
  if (source == NULL || !check_question(ask->settings, error))
    return FALSE;
  g_autoptr(MnkSettings) defaults = mnk_settings_new();
  ask->stream = mnk_settings_copy(ask->settings);
  mnk_settings_take(ask->stream, MNK_OPT_PROMPT, defaults);
  if (!mnk_local_choose(ask->settings, ask->watching.client, on_model_changed, ask, &ask->local,
                        &ask->watching.backend, error) ||
      !prepare_store(ask, error) || !prepare_stream(ask, source, error))
    return FALSE;
  ask->asker = mnk_asker_new(ask->settings, ask->watching.store);
  if (mnk_settings_bool(ask->settings, MNK_OPT_CHAT))
    ask->lines = mnk_lines_new(STDIN_FILENO, 1 << 20, on_line, ask);
  ask->output = mnk_output_open(ask->settings, error);
  return ask->output != NULL;
}

static void watch_and_ask(Ask *ask) {
  MnkWatching *watching = &ask->watching;
  watching->progress = mnk_progress_new(mnk_settings_bool(ask->settings, MNK_OPT_PROGRESS));
  watching->started_us = mnk_clock_mono_us(mnk_clock_system());
  guint sources[] = {g_unix_signal_add(SIGINT, on_interrupt, ask),
                     g_unix_signal_add(SIGTERM, on_terminate, ask),
                     g_timeout_add(TICK_MS, on_tick, ask)};
  mnk_progress_show(watching->progress, "Starting");
  if (mnk_stream_start(watching->stream, &watching->failure))
    g_main_loop_run(watching->loop);
  for (guint i = 0; i < G_N_ELEMENTS(sources); i++)
    g_source_remove(sources[i]);
}

static void remove_folder(const char *folder) {
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_unlink(path);
  }
  g_rmdir(folder);
}

static void write_stats(MnkJsonWriter *w, gpointer user) {
  Ask *ask = user;
  mnk_show_counts(w, &ask->asked, ask->local);
}

static void tidy_up(Ask *ask) {
  if (ask->asker != NULL)
    mnk_asker_counters(ask->asker, &ask->asked);
  mnk_lines_free(ask->lines);
  g_clear_pointer(&ask->asker, mnk_asker_free);
  g_clear_pointer(&ask->memory, mnk_local_close);
  mnk_watching_end(&ask->watching, write_stats, ask);
  g_clear_pointer(&ask->local, mnk_local_free);
  mnk_spool_free(ask->spool);
  mnk_output_free(ask->output);
  if (ask->folder != NULL)
    remove_folder(ask->folder);
  g_free(ask->folder);
  g_free(ask->conversation);
  mnk_settings_free(ask->stream);
  mnk_settings_free(ask->settings);
}

static gboolean show_config(const MnkSettings *settings, GError **error) {
  g_autoptr(MnkSettings) shown = settings_of_ask(settings);
  g_autoptr(MnkOutput) output = mnk_output_open(settings, error);
  g_autoptr(GString) text = g_string_new(NULL);
  if (output == NULL)
    return FALSE;
  mnk_cli_write_settings(text, shown, MNK_COMMAND_ASK);
  return mnk_output_raw(output, text->str, text->len, error);
}

static gboolean run(const MnkSettings *settings, char **rest, GError **error) {
  if (mnk_settings_bool(settings, MNK_OPT_SHOW_CONFIG))
    return show_config(settings, error);
  Ask ask = {.settings = settings_of_ask(settings)};
  mnk_watching_init(&ask.watching, ask.settings);
  gboolean ready = prepare(&ask, rest, error);
  if (ready)
    watch_and_ask(&ask);
  tidy_up(&ask);
  if (ready && ask.watching.failure != NULL)
    g_propagate_error(error, g_steal_pointer(&ask.watching.failure));
  else if (ready)
    return TRUE;
  g_clear_error(&ask.watching.failure);
  return FALSE;
}

const MnkCommand mnk_command_ask = {
    .name = "ask",
    .set = MNK_COMMAND_ASK,
    .arguments = "SOURCE",
    .summary = "Ask about a video: the answer, and the moments it rests on",
    .details =
        "SOURCE is a video file, - for standard input, camera, camera:N or /dev/videoN, or an "
        "rtsp:// address; it is watched to its end, or to --to. Who answers: the model of "
        "--model-path, which remembers what it saw; else the service that is configured (Gemini, "
        "Vertex, an OpenAI-compatible one), which gets key frames and captions; else the captions "
        "are searched, with no model at all. Ctrl-C ends the watching, and the question is asked "
        "of what was seen by then; pressed again it ends the program. With --chat further "
        "questions come from standard input.",
    .min_rest = 0,
    .max_rest = 1,
    .run = run,
};
