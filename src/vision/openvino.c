/* The one file that knows OpenVINO's C API. Its functions are declared here, as far as they are
 * used, and found by name at run time: no header of the runtime is needed to build. */
#include "vision/openvino_priv.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdint.h>

#include "base/base.h"
#include "models/models.h"

#define SETUP_HINT "run ./dev setup"

/* The first release whose C functions have the shapes below. */
enum { OLDEST_YEAR = 2023, N_PROPERTIES = 10 };

/* ---- The C API ---- */

typedef struct ov_core ov_core_t;
typedef struct ov_compiled_model ov_compiled_model_t;
typedef struct ov_infer_request ov_infer_request_t;
typedef struct ov_tensor ov_tensor_t;

typedef struct {
  int64_t rank;
  int64_t *dims;
} ov_shape_t;

typedef struct {
  const char *build_number;
  const char *description;
} ov_version_t;

/* Every function but the ones that free returns 0 on success. */
typedef struct {
  int (*get_openvino_version)(ov_version_t *version);
  void (*version_free)(ov_version_t *version);
  const char *(*get_last_err_msg)(void);
  void (*free)(const char *content);
  int (*core_create)(ov_core_t **core);
  void (*core_free)(ov_core_t *core);
  int (*core_compile_model_from_file)(const ov_core_t *core, const char *path, const char *device,
                                      size_t n_arguments, ov_compiled_model_t **model, ...);
  void (*compiled_model_free)(ov_compiled_model_t *model);
  int (*compiled_model_inputs_size)(const ov_compiled_model_t *model, size_t *n);
  int (*compiled_model_outputs_size)(const ov_compiled_model_t *model, size_t *n);
  int (*compiled_model_create_infer_request)(const ov_compiled_model_t *model,
                                             ov_infer_request_t **request);
  void (*infer_request_free)(ov_infer_request_t *request);
  int (*infer_request_get_input_tensor_by_index)(const ov_infer_request_t *request, size_t index,
                                                 ov_tensor_t **tensor);
  int (*infer_request_get_output_tensor_by_index)(const ov_infer_request_t *request, size_t index,
                                                  ov_tensor_t **tensor);
  int (*infer_request_infer)(ov_infer_request_t *request);
  int (*tensor_set_shape)(ov_tensor_t *tensor, ov_shape_t shape);
  int (*tensor_get_shape)(const ov_tensor_t *tensor, ov_shape_t *shape);
  int (*tensor_get_size)(const ov_tensor_t *tensor, size_t *n);
  int (*tensor_get_byte_size)(const ov_tensor_t *tensor, size_t *bytes);
  int (*tensor_data)(const ov_tensor_t *tensor, void **data);
  void (*tensor_free)(ov_tensor_t *tensor);
  int (*shape_free)(ov_shape_t *shape);
} Api;

#define API_ENTRY(name) {"ov_" #name, G_STRUCT_OFFSET(Api, name)}
static const struct {
  const char *symbol;
  gsize offset;
} api_table[] = {
    API_ENTRY(get_openvino_version),
    API_ENTRY(version_free),
    API_ENTRY(get_last_err_msg),
    API_ENTRY(free),
    API_ENTRY(core_create),
    API_ENTRY(core_free),
    API_ENTRY(core_compile_model_from_file),
    API_ENTRY(compiled_model_free),
    API_ENTRY(compiled_model_inputs_size),
    API_ENTRY(compiled_model_outputs_size),
    API_ENTRY(compiled_model_create_infer_request),
    API_ENTRY(infer_request_free),
    API_ENTRY(infer_request_get_input_tensor_by_index),
    API_ENTRY(infer_request_get_output_tensor_by_index),
    API_ENTRY(infer_request_infer),
    API_ENTRY(tensor_set_shape),
    API_ENTRY(tensor_get_shape),
    API_ENTRY(tensor_get_size),
    API_ENTRY(tensor_get_byte_size),
    API_ENTRY(tensor_data),
    API_ENTRY(tensor_free),
    API_ENTRY(shape_free),
};

/* ---- The runtime ---- */

struct _MnkRuntime {
  Api api;
  void *library;
  ov_core_t *core;
  char *version;
  char *cache_dir; /* NULL: compiled models are not kept */
  int threads;
};

static gboolean open_library(MnkRuntime *runtime, GError **error) {
  g_autofree char *path = mnk_models_openvino_library();

  /* Its threads may outlive the last net, so the code must stay mapped. */
  runtime->library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!runtime->library) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL,
                "the OpenVINO runtime cannot be opened (%s); " SETUP_HINT, dlerror());
    return FALSE;
  }
  for (gsize i = 0; i < G_N_ELEMENTS(api_table); i++) {
    void *symbol = dlsym(runtime->library, api_table[i].symbol);
    if (!symbol) {
      g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL,
                  "the OpenVINO runtime in %s lacks %s; " SETUP_HINT, path, api_table[i].symbol);
      return FALSE;
    }
    *(void **)((char *)&runtime->api + api_table[i].offset) = symbol;
  }
  return TRUE;
}

static gboolean check_version(MnkRuntime *runtime, GError **error) {
  ov_version_t version = {NULL, NULL};

  if (runtime->api.get_openvino_version(&version) != 0 || !version.build_number) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_MODEL,
                        "the OpenVINO runtime does not tell its version; " SETUP_HINT);
    return FALSE;
  }
  runtime->version = g_strdup(version.build_number);
  runtime->api.version_free(&version);
  if (g_ascii_strtoll(runtime->version, NULL, 10) < OLDEST_YEAR) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL,
                "the OpenVINO runtime is version %s, needed is %d or newer; " SETUP_HINT,
                runtime->version, OLDEST_YEAR);
    return FALSE;
  }
  return TRUE;
}

/* The runtime's last message, short enough for one line: its first lines name C++ files. */
static char *last_message(const MnkRuntime *runtime) {
  const char *message = runtime->api.get_last_err_msg();
  g_autofree char *copy = g_strdup(message ? message : "");
  char *best = copy;

  if (message)
    runtime->api.free(message);
  g_strdelimit(copy, "\r\n", '\n');
  g_auto(GStrv) lines = g_strsplit(copy, "\n", -1);
  for (guint i = 0; lines[i]; i++) {
    const char *line = g_strstrip(lines[i]);
    if (*line && !g_str_has_prefix(line, "Exception from ") && !strstr(line, ".cpp:")) {
      best = lines[i];
      break;
    }
  }
  return g_strndup(*g_strstrip(best) ? g_strstrip(best) : "no reason given", 200);
}

MnkRuntime *mnk_runtime_new(const char *cache_dir, int threads, GError **error) {
  g_autoptr(MnkRuntime) runtime = g_new0(MnkRuntime, 1);

  runtime->threads = MAX(threads, 1);
  if (!open_library(runtime, error) || !check_version(runtime, error))
    return NULL;
  if (cache_dir && g_mkdir_with_parents(cache_dir, 0755) == 0)
    runtime->cache_dir = g_strdup(cache_dir);
  else if (cache_dir)
    mnk_warning("vision", NULL, "event=no-model-cache dir=%s", cache_dir);
  if (runtime->api.core_create(&runtime->core) != 0) {
    g_autofree char *why = last_message(runtime);
    g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL,
                "the OpenVINO runtime does not start (%s); " SETUP_HINT, why);
    return NULL;
  }
  return g_steal_pointer(&runtime);
}

void mnk_runtime_free(MnkRuntime *runtime) {
  if (!runtime)
    return;
  if (runtime->core)
    runtime->api.core_free(runtime->core);
  if (runtime->library)
    dlclose(runtime->library);
  g_free(runtime->version);
  g_free(runtime->cache_dir);
  g_free(runtime);
}

const char *mnk_runtime_version(const MnkRuntime *runtime) {
  return runtime->version;
}

/* ---- Nets ---- */

struct _MnkNet {
  MnkRuntime *runtime; /* borrowed */
  char *name;          /* the file's, for messages */
  ov_compiled_model_t *model;
  ov_infer_request_t *request;
  ov_tensor_t *input;
  MnkElement element;
  void *input_data;
  MnkShape input_shape;
  GPtrArray *outputs; /* of ov_tensor_t, by index, NULL before the first look */
};

static gboolean net_fails(const MnkNet *net, const char *what, GError **error) {
  g_autofree char *why = last_message(net->runtime);

  g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL, "model %s %s: %s", net->name, what, why);
  return FALSE;
}

/* From the file straight to the compiled model: with a warm cache the file is not even read, and
 * the front end that reads it is not loaded. A damaged or full cache costs time, not the model. The
 * precision is left to the runtime, which takes bfloat16 where the processor has it. */
static gboolean open_model(MnkNet *net, const char *path, GError **error) {
  const MnkRuntime *runtime = net->runtime;
  g_autofree char *threads = g_strdup_printf("%d", runtime->threads);
  int status = runtime->api.core_compile_model_from_file(
      runtime->core, path, "CPU", N_PROPERTIES, &net->model, "CACHE_DIR",
      runtime->cache_dir ? runtime->cache_dir : "", "PERFORMANCE_HINT", "LATENCY", "NUM_STREAMS",
      "1", "INFERENCE_NUM_THREADS", threads, "ENABLE_CPU_PINNING", "NO");

  return status == 0 || net_fails(net, "cannot be read", error);
}

static gboolean check_ports(MnkNet *net, guint outputs, GError **error) {
  const Api *api = &net->runtime->api;
  size_t n_in = 0, n_out = 0;

  if (api->compiled_model_inputs_size(net->model, &n_in) != 0 ||
      api->compiled_model_outputs_size(net->model, &n_out) != 0)
    return net_fails(net, "does not tell its ports", error);
  if (n_in != 1 || n_out < outputs) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL,
                "model %s has %" G_GSIZE_FORMAT " inputs and %" G_GSIZE_FORMAT
                " outputs, expected 1 and %u",
                net->name, (gsize)n_in, (gsize)n_out, outputs);
    return FALSE;
  }
  g_ptr_array_set_size(net->outputs, (int)n_out);
  return TRUE;
}

MnkNet *mnk_net_load(MnkRuntime *runtime, const char *dir, const MnkNetSpec *spec, GError **error) {
  g_autoptr(MnkNet) net = g_new0(MnkNet, 1);
  const MnkModelEntry *entry = mnk_models_find(spec->model);
  g_return_val_if_fail(entry, NULL);
  g_autofree char *path = mnk_models_path(dir, entry);
  g_autofree char *why = NULL;
  const Api *api = &runtime->api;

  net->runtime = runtime;
  net->name = g_strdup(entry->file);
  net->element = spec->element;
  net->outputs = g_ptr_array_new();
  if (mnk_models_check(dir, entry, FALSE, &why) != MNK_MODEL_OK) {
    g_set_error_literal(error, MNK_ERROR, MNK_ERROR_MODEL, why);
    return NULL;
  }
  if (!open_model(net, path, error) || !check_ports(net, spec->outputs, error))
    return NULL;
  if (api->compiled_model_create_infer_request(net->model, &net->request) != 0 ||
      api->infer_request_get_input_tensor_by_index(net->request, 0, &net->input) != 0) {
    net_fails(net, "cannot be prepared", error);
    return NULL;
  }
  if (!mnk_net_input(net, &spec->input, error))
    return NULL;
  /* Compiling leaves a good deal of freed memory behind. */
  malloc_trim(0);
  return g_steal_pointer(&net);
}

void mnk_net_free(MnkNet *net) {
  if (!net)
    return;
  const Api *api = &net->runtime->api;
  for (guint i = 0; i < net->outputs->len; i++)
    if (net->outputs->pdata[i])
      api->tensor_free(net->outputs->pdata[i]);
  g_ptr_array_unref(net->outputs);
  if (net->input)
    api->tensor_free(net->input);
  if (net->request)
    api->infer_request_free(net->request);
  if (net->model)
    api->compiled_model_free(net->model);
  g_free(net->name);
  g_free(net);
}

static gboolean tensor_shape(const MnkNet *net, const ov_tensor_t *tensor, MnkShape *shape) {
  const Api *api = &net->runtime->api;
  ov_shape_t s = {0, NULL};
  gboolean fits;

  if (api->tensor_get_shape(tensor, &s) != 0)
    return FALSE;
  fits = s.rank >= 0 && s.rank <= MNK_NET_MAX_RANK;
  shape->rank = fits ? (guint)s.rank : 0;
  for (guint i = 0; i < shape->rank; i++)
    shape->dims[i] = (gsize)s.dims[i];
  api->shape_free(&s);
  return fits;
}

static gboolean shapes_equal(const MnkShape *a, const MnkShape *b) {
  if (a->rank != b->rank)
    return FALSE;
  for (guint i = 0; i < a->rank; i++)
    if (a->dims[i] != b->dims[i])
      return FALSE;
  return TRUE;
}

/* Memory of a tensor with elements of a known size: the element types' numbers differ between
 * releases, their sizes do not. */
static void *tensor_memory(const MnkNet *net, const ov_tensor_t *tensor, MnkElement element,
                           gsize *n) {
  const Api *api = &net->runtime->api;
  size_t elements = 0, bytes = 0;
  void *data = NULL;

  if (api->tensor_get_size(tensor, &elements) != 0 ||
      api->tensor_get_byte_size(tensor, &bytes) != 0 || bytes != elements * element ||
      api->tensor_data(tensor, &data) != 0)
    return NULL;
  *n = elements;
  return data;
}

static gboolean set_input_shape(MnkNet *net, const MnkShape *shape, GError **error) {
  int64_t dims[MNK_NET_MAX_RANK];
  ov_shape_t s = {shape->rank, dims};

  for (guint i = 0; i < shape->rank; i++)
    dims[i] = (int64_t)shape->dims[i];
  if (net->runtime->api.tensor_set_shape(net->input, s) != 0)
    return net_fails(net, "does not take this size of picture", error);
  return TRUE;
}

void *mnk_net_input(MnkNet *net, const MnkShape *shape, GError **error) {
  gsize n = 0, expected = 1;

  if (net->input_data && shapes_equal(shape, &net->input_shape))
    return net->input_data;
  if (!(tensor_shape(net, net->input, &net->input_shape) &&
        shapes_equal(shape, &net->input_shape)) &&
      !set_input_shape(net, shape, error))
    return NULL;
  for (guint i = 0; i < shape->rank; i++)
    expected *= shape->dims[i];
  net->input_data = tensor_memory(net, net->input, net->element, &n);
  if (!net->input_data || n != expected) {
    net->input_data = NULL;
    g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL,
                "model %s does not take pictures of the kind used", net->name);
    return NULL;
  }
  net->input_shape = *shape;
  return net->input_data;
}

gboolean mnk_net_run(MnkNet *net, GError **error) {
  return net->runtime->api.infer_request_infer(net->request) == 0 ||
         net_fails(net, "fails to run", error);
}

const float *mnk_net_output(MnkNet *net, guint index, MnkShape *shape, GError **error) {
  const Api *api = &net->runtime->api;
  MnkShape own;
  gsize n;

  g_return_val_if_fail(index < net->outputs->len, NULL);
  ov_tensor_t **tensor = (ov_tensor_t **)&net->outputs->pdata[index];
  if (!*tensor && api->infer_request_get_output_tensor_by_index(net->request, index, tensor) != 0) {
    net_fails(net, "gives no output", error);
    return NULL;
  }
  const float *data = tensor_memory(net, *tensor, MNK_ELEMENT_F32, &n);
  if (!data || !tensor_shape(net, *tensor, shape ? shape : &own)) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL, "model %s gives an output of an unknown kind",
                net->name);
    return NULL;
  }
  return data;
}

const float *mnk_net_output_of(MnkNet *net, guint index, gsize n, GError **error) {
  MnkShape shape;
  gsize have = 1;
  const float *data = mnk_net_output(net, index, &shape, error);

  if (!data)
    return NULL;
  for (guint i = 0; i < shape.rank; i++)
    have *= shape.dims[i];
  if (have != n) {
    g_set_error(error, MNK_ERROR, MNK_ERROR_MODEL,
                "model %s gives %" G_GSIZE_FORMAT " values, expected %" G_GSIZE_FORMAT, net->name,
                have, n);
    return NULL;
  }
  return data;
}
