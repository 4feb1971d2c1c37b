/* Uploads: videos that clients send, under names that are made here.
 *
 * The control context only hands bytes on. Two threads of a pool write them, at most one job of an
 * upload at a time; while a job writes, up to 1 MiB more is taken in, and then the body is paused.
 * What is half-written has a name of its own and is removed, at the next start at the latest. */
#include "api/core_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THREADS = 2, PENDING_MAX = 1 << 20, AT_ONCE_MAX = 16, NAME_BYTES = 16 };
static const char PREFIX[] = "up-", PARTIAL[] = ".part-";

typedef struct {
  guint64 bytes;
  gint64 created_us;
} Entry;

struct _MnkUploads {
  char *folder;
  int folder_fd;
  GHashTable *entries; /* name to Entry: what is whole */
  guint64 bytes;       /* of all, half-written ones too */
  guint running;
  GThreadPool *pool;
  GAsyncQueue *finished; /* of Job */
  GSource *wakeup;
};

/* One body on its way into a file. */
typedef struct {
  MnkUploads *uploads;
  MnkCall *call;
  char *name;
  int fd;
  GByteArray *pending;
  guint64 bytes;
  gboolean busy, paused;
  gboolean ended;  /* no more of the body comes */
  gboolean failed; /* answered; what comes is thrown away */
  gboolean gone;   /* the file is settled, one way or the other */
} Upload;

typedef enum { JOB_WRITE, JOB_COMMIT, JOB_DISCARD, JOB_DELETE } JobKind;

typedef struct {
  JobKind kind;
  MnkUploads *uploads;
  Upload *upload;    /* not for JOB_DELETE */
  MnkCall *call;     /* JOB_DELETE */
  char *name;        /* JOB_DELETE */
  GByteArray *bytes; /* JOB_WRITE */
  int error;
} Job;

gboolean mnk_upload_name_is_valid(const char *name) {
  gsize prefix = strlen(PREFIX);
  return strlen(name) == prefix + 2 * NAME_BYTES && g_str_has_prefix(name, PREFIX) &&
         strspn(name + prefix, "0123456789abcdef") == 2 * NAME_BYTES;
}

static char *partial_name(const char *name) {
  return g_strconcat(PARTIAL, name, NULL);
}

/* ---- in the pool's threads ---- */

static int write_all(int fd, const GByteArray *bytes) {
  gsize done = 0;
  while (done < bytes->len) {
    gssize wrote = write(fd, bytes->data + done, bytes->len - done);
    if (wrote < 0 && errno != EINTR)
      return errno;
    done += (gsize)MAX(wrote, 0);
  }
  return 0;
}

/* Durable before it is told: the file first, then its name. */
static int commit(const Upload *upload) {
  int folder = upload->uploads->folder_fd;
  g_autofree char *partial = partial_name(upload->name);
  int error = fsync(upload->fd) != 0 ? errno : 0;
  if (error == 0 && renameat(folder, partial, folder, upload->name) != 0)
    error = errno;
  if (error == 0 && fsync(folder) != 0)
    error = errno;
  close(upload->fd);
  return error;
}

static void discard(const Upload *upload) {
  g_autofree char *partial = partial_name(upload->name);
  close(upload->fd);
  unlinkat(upload->uploads->folder_fd, partial, 0);
}

static void run_job(gpointer data, gpointer user) {
  Job *job = data;
  MnkUploads *uploads = user;
  switch (job->kind) {
  case JOB_WRITE:
    job->error = write_all(job->upload->fd, job->bytes);
    break;
  case JOB_COMMIT:
    job->error = commit(job->upload);
    break;
  case JOB_DISCARD:
    discard(job->upload);
    break;
  case JOB_DELETE:
    job->error = unlinkat(uploads->folder_fd, job->name, 0) != 0 ? errno : 0;
    break;
  }
  g_async_queue_push(uploads->finished, job);
  g_source_set_ready_time(uploads->wakeup, 0);
}

/* ---- back in the control context ---- */

static void start_job(JobKind kind, Upload *upload, GByteArray *bytes) {
  Job *job = g_new0(Job, 1);
  *job = (Job){.kind = kind, .uploads = upload->uploads, .upload = upload, .bytes = bytes};
  upload->busy = TRUE;
  g_thread_pool_push(upload->uploads->pool, job, NULL);
}

static void free_upload(Upload *upload) {
  upload->uploads->running--;
  mnk_call_unref(upload->call);
  g_byte_array_unref(upload->pending);
  g_free(upload->name);
  g_free(upload);
}

static void advance(Upload *upload) {
  if (upload->busy)
    return;
  if (upload->gone) {
    if (upload->ended)
      free_upload(upload);
  } else if (upload->failed) {
    start_job(JOB_DISCARD, upload, NULL);
  } else if (upload->pending->len > 0) {
    GByteArray *bytes = g_steal_pointer(&upload->pending);
    upload->pending = g_byte_array_new();
    start_job(JOB_WRITE, upload, bytes);
  } else if (upload->ended) {
    start_job(JOB_COMMIT, upload, NULL);
  }
}

static void fail(Upload *upload, guint status, const char *code, const char *message) {
  if (upload->failed)
    return;
  upload->failed = TRUE;
  MnkRequest *request = upload->call->request;
  if (request != NULL)
    mnk_answer_error(request, status, code, message, NULL);
}

static void fail_errno(Upload *upload, int error) {
  g_autofree char *message =
      g_strdup_printf("the upload could not be written: %s", g_strerror(error));
  mnk_warning("api", NULL, "event=upload-failed why=\"%s\"", g_strerror(error));
  fail(upload, 503, "unavailable", message);
}

static void write_entry(MnkJsonWriter *w, const char *name, const Entry *entry) {
  mnk_json_begin_object(w, NULL);
  mnk_json_add_string(w, "name", name);
  mnk_json_add_int(w, "bytes", (gint64)entry->bytes);
  mnk_json_add_int(w, "created_us", entry->created_us);
  mnk_json_end_object(w);
}

static void tell_whole(const Upload *upload) {
  g_autoptr(GString) text = g_string_new(NULL);
  MnkJsonWriter w;
  Entry *entry = g_new0(Entry, 1);
  entry->bytes = upload->bytes;
  entry->created_us = mnk_clock_wall_us(mnk_clock_system());
  g_hash_table_insert(upload->uploads->entries, g_strdup(upload->name), entry);
  mnk_json_writer_init(&w, text);
  write_entry(&w, upload->name, entry);
  if (upload->call->request != NULL)
    mnk_answer_json(upload->call->request, 201, text);
}

static void finish_upload_job(const Job *job) {
  Upload *upload = job->upload;
  upload->busy = FALSE;
  if (job->kind == JOB_WRITE && job->error == 0 && upload->paused) {
    upload->paused = FALSE;
    if (upload->call->request != NULL && !upload->ended)
      mnk_request_resume_body(upload->call->request);
  }
  if (job->kind != JOB_WRITE)
    upload->gone = TRUE;
  if (job->kind == JOB_COMMIT && job->error == 0) {
    tell_whole(upload);
  } else if (job->error != 0 || job->kind == JOB_DISCARD) {
    if (job->error != 0)
      fail_errno(upload, job->error);
    if (upload->gone)
      upload->uploads->bytes -= upload->bytes;
  }
  advance(upload);
}

static void finish_delete(const Job *job) {
  MnkRequest *request = job->call->request;
  if (request != NULL && job->error == 0)
    mnk_request_answer(request, 204, NULL, NULL);
  else if (request != NULL)
    mnk_answer_error(request, 503, "unavailable", g_strerror(job->error), NULL);
}

static void finish_job(Job *job) {
  if (job->kind == JOB_DELETE)
    finish_delete(job);
  else
    finish_upload_job(job);
  if (job->bytes != NULL)
    g_byte_array_unref(job->bytes);
  mnk_call_unref(job->call);
  g_free(job->name);
  g_free(job);
}

static gboolean on_finished(gpointer user) {
  MnkUploads *uploads = user;
  Job *job;
  g_source_set_ready_time(uploads->wakeup, -1);
  while ((job = g_async_queue_try_pop(uploads->finished)) != NULL)
    finish_job(job);
  return G_SOURCE_CONTINUE;
}

/* ---- the body ---- */

static gboolean on_chunk(MnkRequest *request, const guint8 *bytes, gsize length, gpointer user) {
  Upload *upload = user;
  MnkUploads *uploads = upload->uploads;
  guint64 quota = (guint64)mnk_settings_int(upload->call->api->settings, MNK_OPT_UPLOAD_QUOTA);
  if (upload->failed)
    return TRUE;
  if (length > quota || uploads->bytes > quota - length) {
    fail(upload, 413, "limit", "all uploads together would pass upload_quota; delete some first");
    advance(upload);
    return TRUE;
  }
  uploads->bytes += length;
  upload->bytes += length;
  g_byte_array_append(upload->pending, bytes, (guint)length);
  advance(upload);
  upload->paused = upload->busy && upload->pending->len >= PENDING_MAX;
  return !upload->paused;
}

static void on_body_done(MnkRequest *request, gboolean complete, gpointer user) {
  Upload *upload = user;
  upload->ended = TRUE;
  if (!complete)
    upload->failed = TRUE;
  else if (upload->bytes == 0)
    fail(upload, 400, "bad_input", "the body is empty; it must be a video");
  advance(upload);
}

static Upload *begin(MnkUploads *uploads, MnkCall *call) {
  guint8 random[NAME_BYTES];
  mnk_random_bytes(random, sizeof random);
  g_autofree char *hex = mnk_hex(random, sizeof random);
  g_autofree char *name = g_strconcat(PREFIX, hex, NULL);
  g_autofree char *partial = partial_name(name);
  int fd = openat(uploads->folder_fd, partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  0600);
  if (fd < 0)
    return NULL;
  Upload *upload = g_new0(Upload, 1);
  *upload = (Upload){.uploads = uploads,
                     .call = mnk_call_ref(call),
                     .name = g_steal_pointer(&name),
                     .fd = fd,
                     .pending = g_byte_array_new()};
  uploads->running++;
  return upload;
}

/* What can be refused before the first byte is. */
static gboolean check_head(MnkCall *call, guint64 max) {
  const MnkUploads *uploads = call->api->uploads;
  const char *text = mnk_request_header(call->request, "Content-Length");
  const char *type = mnk_request_header(call->request, "Content-Type");
  guint64 length = 0;
  if (text != NULL && !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &length, NULL))
    length = 0;
  if (max == 0)
    mnk_answer_error(call->request, 403, "forbidden", "uploads are off (upload_max is 0)", NULL);
  else if (length > max)
    mnk_answer_error(call->request, 413, "limit", "the video is larger than upload_max", NULL);
  else if (uploads->running >= AT_ONCE_MAX)
    mnk_answer_error(call->request, 503, "unavailable", "sixteen uploads are running already",
                     NULL);
  else if (g_hash_table_size(uploads->entries) >=
           (guint)mnk_settings_int(call->api->settings, MNK_OPT_UPLOAD_COUNT))
    mnk_answer_error(call->request, 413, "limit",
                     "there are upload_count uploads already; delete some first", NULL);
  else if (type != NULL && g_ascii_strncasecmp(type, "multipart/", 10) == 0)
    mnk_answer_error(call->request, 400, "usage",
                     "the body must be the video itself, not a form (curl --data-binary @FILE)",
                     "Content-Type");
  else
    return TRUE;
  return FALSE;
}

static void post_upload(MnkCall *call) {
  static const MnkBodyEvents EVENTS = {on_chunk, on_body_done};
  guint64 max = (guint64)mnk_settings_int(call->api->settings, MNK_OPT_UPLOAD_MAX);
  if (!check_head(call, max))
    return;
  Upload *upload = begin(call->api->uploads, call);
  if (upload == NULL) {
    mnk_answer_error(call->request, 503, "unavailable", "the upload's file cannot be made", NULL);
    return;
  }
  mnk_request_stream_body(call->request, max, &EVENTS, upload);
}

/* ---- what is there ---- */

static void get_uploads(MnkCall *call) {
  g_autoptr(GString) text = g_string_new(NULL);
  g_autoptr(GList) names =
      g_list_sort(g_hash_table_get_keys(call->api->uploads->entries), (GCompareFunc)strcmp);
  MnkJsonWriter w;
  mnk_json_writer_init(&w, text);
  mnk_json_begin_object(&w, NULL);
  mnk_json_begin_array(&w, "uploads");
  for (GList *name = names; name != NULL; name = name->next)
    write_entry(&w, name->data, g_hash_table_lookup(call->api->uploads->entries, name->data));
  mnk_json_end_array(&w);
  mnk_json_end_object(&w);
  mnk_answer_json(call->request, 200, text);
}

static void delete_upload(MnkCall *call) {
  MnkUploads *uploads = call->api->uploads;
  const Entry *entry = g_hash_table_lookup(uploads->entries, call->id);
  if (entry == NULL) {
    mnk_answer_error(call->request, 404, "not_found", "there is no upload of this name", NULL);
    return;
  }
  uploads->bytes -= entry->bytes;
  g_hash_table_remove(uploads->entries, call->id);
  Job *job = g_new0(Job, 1);
  *job = (Job){.kind = JOB_DELETE,
               .uploads = uploads,
               .call = mnk_call_ref(call),
               .name = g_strdup(call->id)};
  g_thread_pool_push(uploads->pool, job, NULL);
}

char *mnk_uploads_find(MnkUploads *uploads, const char *name, GError **error) {
  struct stat info;
  if (g_hash_table_contains(uploads->entries, name) &&
      fstatat(uploads->folder_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode))
    return g_build_filename(uploads->folder, name, NULL);
  g_set_error_literal(error, MNK_ERROR, MNK_ERROR_NOT_FOUND, "there is no upload of this name");
  return NULL;
}

char *mnk_upload_path(MnkApi *api, const char *name, GError **error) {
  return mnk_uploads_find(api->uploads, name, error);
}

/* ---- the folder ---- */

static void take_stock(MnkUploads *uploads, const char *name) {
  struct stat info;
  if (g_str_has_prefix(name, PARTIAL)) {
    unlinkat(uploads->folder_fd, name, 0);
    return;
  }
  if (!mnk_upload_name_is_valid(name) ||
      fstatat(uploads->folder_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
    return;
  Entry *entry = g_new0(Entry, 1);
  entry->bytes = (guint64)info.st_size;
  entry->created_us = (gint64)info.st_mtim.tv_sec * G_USEC_PER_SEC;
  uploads->bytes += entry->bytes;
  g_hash_table_insert(uploads->entries, g_strdup(name), entry);
}

static gboolean open_folder(MnkUploads *uploads, GError **error) {
  g_autoptr(GDir) listing = NULL;
  const char *name;
  if (g_mkdir_with_parents(uploads->folder, 0700) == 0)
    uploads->folder_fd = open(uploads->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (uploads->folder_fd < 0) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_STORE, "the folder %s cannot be used: %s",
                uploads->folder, g_strerror(errno));
    return FALSE;
  }
  listing = g_dir_open(uploads->folder, 0, error);
  while (listing != NULL && (name = g_dir_read_name(listing)) != NULL)
    take_stock(uploads, name);
  return listing != NULL;
}

static gboolean dispatch_wakeup(GSource *source, GSourceFunc func, gpointer user) {
  return func(user);
}

MnkUploads *mnk_uploads_new(const char *folder, GError **error) {
  static GSourceFuncs funcs = {.dispatch = dispatch_wakeup};
  MnkUploads *uploads = g_new0(MnkUploads, 1);
  uploads->folder = g_strdup(folder);
  uploads->folder_fd = -1;
  uploads->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  uploads->finished = g_async_queue_new();
  uploads->wakeup = g_source_new(&funcs, sizeof(GSource));
  g_source_set_static_name(uploads->wakeup, "uploads");
  g_source_set_callback(uploads->wakeup, on_finished, uploads, NULL);
  g_autoptr(GMainContext) context = g_main_context_ref_thread_default();
  g_source_attach(uploads->wakeup, context);
  uploads->pool = g_thread_pool_new(run_job, uploads, THREADS, FALSE, NULL);
  if (open_folder(uploads, error))
    return uploads;
  mnk_uploads_free(uploads);
  return NULL;
}

/* No request is left: bodies have ended, and what they leave to do is done here. */
void mnk_uploads_free(MnkUploads *uploads) {
  if (uploads == NULL)
    return;
  while (uploads->running > 0) {
    Job *job = g_async_queue_timeout_pop(uploads->finished, G_USEC_PER_SEC);
    if (job == NULL)
      break;
    finish_job(job);
  }
  g_thread_pool_free(uploads->pool, FALSE, TRUE);
  Job *job;
  while ((job = g_async_queue_try_pop(uploads->finished)) != NULL)
    finish_job(job);
  g_source_destroy(uploads->wakeup);
  g_source_unref(uploads->wakeup);
  g_async_queue_unref(uploads->finished);
  g_hash_table_unref(uploads->entries);
  if (uploads->folder_fd >= 0)
    close(uploads->folder_fd);
  g_free(uploads->folder);
  g_free(uploads);
}

const MnkRoute mnk_routes_uploads[] = {
    {"POST", "/v1/uploads", MNK_SCOPE_INGEST, NULL, NULL, 201, "Upload",
     "Takes a video as the body; the source of a stream is then upload:NAME", post_upload,
     MNK_ROUTE_RAW_BODY},
    {"GET", "/v1/uploads", MNK_SCOPE_INGEST, NULL, NULL, 200, "Uploads", "Uploaded videos",
     get_uploads, 0},
    {"DELETE", "/v1/uploads/{id}", MNK_SCOPE_INGEST, NULL, NULL, 204, NULL, "Deletes an upload",
     delete_upload, 0},
    {.method = NULL},
};
