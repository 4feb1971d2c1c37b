/* Encoder: the thread that loads the model, and then shows it clips. */
#include "local/worker_priv.h"

#include <errno.h>
#include <unistd.h>

enum {
  WAITING_MAX = 4096,
  MAX_SIDE = 1024,    /* towers scale down further */
  PAIR_GAP_MS = 2000, /* frames further apart are no motion */
  SCENE_GRID = 16,
};
static const double SCENE_MSE = 0.03; /* of pictures of one scene; 0..1 */
static const guint64 MAX_PIXELS = 64 << 20;

typedef struct {
  MnkModelJob *job; /* NULL: a clip */
  guint32 stream;
  MnkModelMemory *memory;
  MnkModelClip clip;
  GBytes *jpegs; /* one after another */
} Item;

struct _MnkEncoder {
  MnkModelOffice *office;
  MnkVlmConfig config;
  char *model, *mmproj;
  MnkQueue *queue;
  MnkJpegReader *reader;
  gint stop, loaded; /* atomic */
  GThread *thread;
};

/* A clip while it is looked at. */
typedef struct {
  const Item *item;
  const guint8 *bytes;
  gsize length;
  GArray *encoded;
  double encode_ms, remember_ms;
  guint64 cached, failed;
} Look;

static void item_free(gpointer data) {
  Item *item = data;
  if (item->job != NULL)
    mnk_job_unref(item->job);
  mnk_model_memory_unref(item->memory);
  mnk_model_clip_clear(&item->clip);
  g_clear_pointer(&item->jpegs, g_bytes_unref);
  g_free(item);
}

/* ---- One clip ---- */

static const MnkModelFrame *frame_at(const Look *look, guint index) {
  const GArray *frames = look->item->clip.frames;
  return index < frames->len ? &g_array_index(frames, MnkModelFrame, index) : NULL;
}

static gsize offset_of(const Look *look, guint index) {
  gsize offset = 0;
  for (guint i = 0; i < index; i++)
    offset += frame_at(look, i)->length;
  return offset;
}

static MnkFrame *decode(MnkEncoder *encoder, const Look *look, guint index) {
  g_autoptr(GError) error = NULL;
  const MnkModelFrame *frame = frame_at(look, index);
  gsize offset = offset_of(look, index);
  if (frame->length > look->length || offset > look->length - frame->length)
    return NULL;
  MnkFrame *picture = mnk_jpeg_reader_decode(encoder->reader, look->bytes + offset, frame->length,
                                             MAX_PIXELS, MAX_SIDE, &error);
  if (picture == NULL)
    mnk_info("local", look->item->memory->setup.id, "event=picture-refused reason=\"%s\"",
             error->message);
  else
    picture->pts_ms = frame->pts_ms;
  return picture;
}

/* Whether two pictures show one scene: where a cut was told too late, the tower would blend two
 * into pictures that nobody saw. By the mean squared difference of a grid of pixels. */
static gboolean is_one_scene(const MnkFrame *a, const MnkFrame *b) {
  guint64 sum = 0;
  for (int y = 0; y < SCENE_GRID; y++)
    for (int x = 0; x < 3 * SCENE_GRID; x++) {
      int row = (2 * y + 1) * a->height / (2 * SCENE_GRID);
      int column = (2 * (x / 3) + 1) * a->width / (2 * SCENE_GRID) * 3 + x % 3;
      int d =
          a->planes[0][row * a->strides[0] + column] - b->planes[0][row * b->strides[0] + column];
      sum += (guint64)(d * d);
    }
  return sum <= (guint64)(SCENE_MSE * 255 * 255 * 3 * SCENE_GRID * SCENE_GRID);
}

/* The second of a pair: what follows closely in the same scene, and is not at hand already. */
static MnkFrame *decode_second(MnkEncoder *encoder, const Look *look, guint index,
                               const MnkFrame *first) {
  const MnkModelFrame *frame = frame_at(look, index + 1);
  if (mnk_vlm_pair(encoder->office->vlm) < 2 || frame == NULL || frame->cut ||
      frame->pts_ms - first->pts_ms > PAIR_GAP_MS || frame->pts_ms <= first->pts_ms ||
      mnk_model_memory_has(look->item->memory, frame->pts_ms))
    return NULL;
  g_autoptr(MnkFrame) second = decode(encoder, look, index + 1);
  gboolean fits = second != NULL && second->width == first->width &&
                  second->height == first->height && is_one_scene(first, second);
  return fits ? g_steal_pointer(&second) : NULL;
}

static void set_encoded(const Look *look, guint index, guint n) {
  for (guint i = index; i < index + n; i++)
    g_array_index(look->encoded, gboolean, i) = TRUE;
}

/* Returns how many frames it has dealt with. */
static guint encode_from(MnkEncoder *encoder, Look *look, guint index) {
  g_autoptr(GError) error = NULL;
  gint64 start_us = g_get_monotonic_time();
  g_autoptr(MnkFrame) first = decode(encoder, look, index);
  if (first == NULL) {
    look->failed++;
    return 1;
  }
  g_autoptr(MnkFrame) second = decode_second(encoder, look, index, first);
  guint n = second != NULL ? 2 : 1;
  MnkFrame *const frames[] = {first, second};
  g_autoptr(MnkTokens) tokens =
      mnk_vlm_encode(encoder->office->vlm, frames, n, &encoder->stop, &error);
  gint64 encoded_us = g_get_monotonic_time();
  look->encode_ms += (double)(encoded_us - start_us) / 1000;
  if (tokens == NULL) {
    look->failed += n;
    mnk_info("local", look->item->memory->setup.id, "event=not-encoded reason=\"%s\"",
             error->message);
    return n;
  }
  mnk_model_memory_add(look->item->memory, tokens, frames[n - 1]->pts_ms);
  look->remember_ms += (double)(g_get_monotonic_time() - encoded_us) / 1000;
  set_encoded(look, index, n);
  return n;
}

static void tell_clipped(MnkEncoder *encoder, const Look *look) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkModelClipped clipped = {
      .number = look->item->clip.number,
      .ms = look->encode_ms + look->remember_ms,
      .encoded = look->encoded,
  };
  mnk_model_memory_end_clip(look->item->memory, &clipped.order, &clipped.memory);
  mnk_model_clipped_write(&clipped, text);
  mnk_channel_send(encoder->office->channel, MNK_MSG_CLIPPED, look->item->stream, text->str,
                   text->len, -1, -1, NULL);
}

static void look_at(MnkEncoder *encoder, const Item *item) {
  guint n = item->clip.frames->len;
  g_autoptr(GArray) encoded = g_array_sized_new(FALSE, TRUE, sizeof(gboolean), n);
  Look look = {.item = item, .encoded = g_array_set_size(encoded, n)};
  look.bytes = g_bytes_get_data(item->jpegs, &look.length);
  for (guint i = 0; i < n && !g_atomic_int_get(&encoder->stop);) {
    if (mnk_model_memory_has(item->memory, frame_at(&look, i)->pts_ms)) {
      set_encoded(&look, i++, 1);
      look.cached++;
    } else {
      i += encode_from(encoder, &look, i);
    }
  }
  mnk_office_count(encoder->office, &(MnkLocalCounters){.clips = 1,
                                                        .cached = look.cached,
                                                        .failed = look.failed,
                                                        .encode_ms = look.encode_ms,
                                                        .remember_ms = look.remember_ms});
  tell_clipped(encoder, &look);
}

/* ---- The thread ---- */

static void tell_loaded(MnkEncoder *encoder, const GError *error) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkModelOffice *office = encoder->office;
  if (error != NULL) {
    mnk_model_error_write(error, text);
  } else {
    MnkModelReady ready = {mnk_vlm_frame_tokens(office->vlm), mnk_vlm_pair(office->vlm),
                           mnk_vlm_files(office->vlm)->dim};
    mnk_model_ready_write(&ready, text);
  }
  mnk_channel_send(office->channel, error != NULL ? MNK_MSG_ENDED : MNK_MSG_READY, 0, text->str,
                   text->len, -1, -1, NULL);
}

static gpointer run(gpointer user) {
  MnkEncoder *encoder = user;
  g_autoptr(GError) error = NULL;
  encoder->office->vlm = mnk_vlm_load(&encoder->config, &error);
  g_atomic_int_set(&encoder->loaded, TRUE);
  tell_loaded(encoder, error);
  if (encoder->office->vlm == NULL)
    return NULL;
  Item *item;
  while ((item = mnk_queue_pop(encoder->queue, -1)) != NULL) {
    if (item->job == NULL)
      look_at(encoder, item);
    else
      mnk_queue_push(encoder->office->thinker, g_steal_pointer(&item->job));
    item_free(item);
  }
  return NULL;
}

MnkEncoder *mnk_encoder_new(MnkModelOffice *office, const MnkVlmConfig *config) {
  MnkEncoder *encoder = g_new0(MnkEncoder, 1);
  encoder->office = office;
  encoder->config = *config;
  encoder->config.model = encoder->model = g_strdup(config->model);
  encoder->config.mmproj = encoder->mmproj = g_strdup(config->mmproj);
  encoder->queue = mnk_queue_new(WAITING_MAX, MNK_QUEUE_DROP_NEWEST, item_free);
  encoder->reader = mnk_jpeg_reader_new();
  encoder->thread = g_thread_new("encoder", run, encoder);
  return encoder;
}

gboolean mnk_encoder_is_loading(MnkEncoder *encoder) {
  return !g_atomic_int_get(&encoder->loaded);
}

void mnk_encoder_free(MnkEncoder *encoder) {
  if (encoder == NULL)
    return;
  g_atomic_int_set(&encoder->stop, TRUE);
  mnk_queue_close(encoder->queue);
  mnk_queue_clear(encoder->queue);
  g_thread_join(encoder->thread);
  mnk_queue_free(encoder->queue);
  mnk_jpeg_reader_free(encoder->reader);
  g_free(encoder->model);
  g_free(encoder->mmproj);
  g_free(encoder);
}

/* ---- What is handed in ---- */

static GBytes *read_fd(int fd, gsize length) {
  g_autofree guint8 *bytes = length <= MNK_CLIP_BYTES_MAX ? g_try_malloc(length) : NULL;
  gsize done = 0;
  while (bytes != NULL && done < length) {
    gssize n = pread(fd, bytes + done, length - done, (off_t)done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    done += (gsize)n;
  }
  return g_bytes_new_take(g_steal_pointer(&bytes), done);
}

void mnk_encoder_clip(MnkEncoder *encoder, guint32 stream, MnkModelMemory *memory,
                      MnkModelClip *clip, int fd) {
  Item *item = g_new0(Item, 1);
  gsize length = 0;
  for (guint i = 0; i < clip->frames->len; i++)
    length += MIN(g_array_index(clip->frames, MnkModelFrame, i).length, MNK_CLIP_BYTES_MAX);
  item->stream = stream;
  item->memory = mnk_model_memory_ref(memory);
  item->clip = *clip;
  item->jpegs = read_fd(fd, length);
  close(fd);
  *clip = (MnkModelClip){0};
  mnk_queue_push(encoder->queue, item);
}

void mnk_encoder_follow(MnkEncoder *encoder, MnkModelJob *job) {
  Item *item = g_new0(Item, 1);
  item->job = job;
  mnk_queue_push(encoder->queue, item);
}
