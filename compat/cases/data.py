"""Numbers, tables, images, models."""

from importlib.abc import MetaPathFinder

from compat.registry import case, raises


@case(
    "numpy",
    "numpy",
    exercised="arithmetic, linear algebra, FFT, random numbers, object arrays, callbacks, saving, errors",
)
def numpy() -> None:
    import io
    import pickle

    import numpy
    import numpy.lib.stride_tricks
    import numpy.ma
    import numpy.polynomial

    values = numpy.arange(10_000, dtype="f8").reshape(100, 100)
    assert (values @ values.T)[1, 2] == sum(values[1] * values[2])
    assert numpy.linalg.norm(numpy.linalg.solve(values + 100 * numpy.eye(100), values[0])) > 0
    raises(numpy.linalg.LinAlgError, numpy.linalg.inv, numpy.zeros((3, 3)))
    assert numpy.allclose(numpy.fft.irfft(numpy.fft.rfft(values[0])), values[0])
    random = numpy.random.default_rng(1)
    assert random.normal(size=1000).std() > 0.5
    assert numpy.array([{"a": 1}, [2], None], dtype=object)[1] == [2]
    raises(TypeError, lambda: numpy.array([object()], dtype=object) + 1)
    raises(ValueError, values.reshape, 7)
    raises(IndexError, lambda: values[1000])
    assert numpy.frompyfunc(lambda a, b: a - b, 2, 1)(values, 1)[0, 0] == -1
    assert numpy.vectorize(str)(numpy.arange(3)).tolist() == ["0", "1", "2"]
    raises(ZeroDivisionError, numpy.frompyfunc(lambda a: 1 / a, 1, 1), numpy.zeros(2, dtype=object))
    with numpy.errstate(divide="raise"):
        raises(FloatingPointError, lambda: values / numpy.zeros(100))
    file = io.BytesIO()
    numpy.savez_compressed(file, a=values)
    file.seek(0)
    assert (numpy.load(file)["a"] == values).all()
    assert (pickle.loads(pickle.dumps(values)) == values).all()
    records = numpy.array([("a", 1, "2024-01-01")], dtype=[("n", "U5"), ("v", "i4"), ("d", "M8[D]")])
    assert records["d"][0] + 1 == numpy.datetime64("2024-01-02")
    assert numpy.sort(random.permutation(1000))[10] == 10
    assert numpy.ma.masked_less(values, 10).count() == 9990
    assert numpy.strings.upper(numpy.array(["a", "ü"], dtype=numpy.dtypes.StringDType())).tolist() == ["A", "Ü"]
    assert numpy.polynomial.Polynomial([1, 2])(3) == 7


def _without_pyarrow() -> None:
    """As in an environment where it is not installed."""
    import sys

    if not any(isinstance(finder, _NoPyArrow) for finder in sys.meta_path):
        sys.meta_path.insert(0, _NoPyArrow())


class _NoPyArrow(MetaPathFinder):
    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError("left out", name=name)


@case(
    "pandas",
    "pandas",
    exercised="without pyarrow: groups, joins, times, CSV, JSON, text, apply with functions that raise, errors",
    with_=("numpy",),
)
def pandas() -> None:
    _without_pyarrow()
    _pandas()


def _pandas() -> None:
    import io

    import pandas

    frame = pandas.DataFrame(
        {"k": ["a", "b", "c", "d"] * 250, "v": range(1000), "t": pandas.date_range("2024", periods=1000, freq="h")}
    )
    assert frame.groupby("k").v.sum()["a"] == sum(range(0, 1000, 4))
    assert frame.groupby("k").v.apply(lambda values: values.max() - values.min())["b"] == 996
    assert len(frame.merge(pandas.DataFrame({"k": ["a", "c"], "w": [1, 2]}), on="k")) == 500
    assert frame.set_index("t").resample("D").v.mean().iloc[0] == 11.5
    assert frame.v.rolling(10).mean().iloc[9] == 4.5
    again = pandas.read_csv(io.StringIO(frame.to_csv(index=False)), parse_dates=["t"])
    assert (again.v == frame.v).all()
    assert (pandas.read_json(io.StringIO(frame.to_json(orient="records"))).v == frame.v).all()
    assert frame.k.str.upper().iloc[0] == "A"
    assert frame.pivot_table(index="k", columns=frame.v % 3, values="v", aggfunc="count").shape == (4, 3)
    assert pandas.Timestamp("2024-01-01", tz="UTC").tz_convert("Europe/Berlin").hour == 1
    assert frame.assign(c=frame.k.astype("category")).c.cat.categories.tolist() == ["a", "b", "c", "d"]

    def fail(_: object) -> object:
        raise LookupError("from apply")

    raises(LookupError, frame.v.apply, fail)
    raises(LookupError, frame.groupby("k").v.apply, fail)
    raises(KeyError, lambda: frame["no such column"])
    raises(pandas.errors.ParserError, pandas.read_csv, io.StringIO("a\n1,2\n3,4,5,6\n"))
    raises(ValueError, pandas.to_datetime, "no date")
    assert frame.query("v > 10 and k == 'a'").shape[0] == 247


@case("pyarrow", "pyarrow", exercised="tables, computation, Parquet, IPC, conversion, errors")
def pyarrow() -> None:
    import io

    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    table = pyarrow.table({"k": ["a", "b"] * 500, "v": list(range(1000)), "l": [[1], None] * 500})
    assert table.group_by("k").aggregate([("v", "sum")]).to_pylist()[0]["v_sum"] == sum(range(0, 1000, 2))
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file)
    assert pyarrow.parquet.read_table(io.BytesIO(file.getvalue())) == table
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    assert pyarrow.ipc.open_stream(sink.getvalue()).read_all() == table
    assert pyarrow.compute.sum(table["v"]).as_py() == 499500
    raises(pyarrow.ArrowInvalid, pyarrow.array, [1, "a"])
    raises(KeyError, table.column, "no such column")
    assert pyarrow.array([1.5, None]).to_numpy(zero_copy_only=False)[0] == 1.5


@case(
    "pandas with pyarrow",
    distribution="pandas",
    exercised="what pandas does alone, and Parquet and Arrow types",
    with_=("numpy", "pyarrow"),
)
def pandas_with_pyarrow() -> None:
    import io

    import pandas
    import pyarrow  # noqa: F401  # must be there

    _pandas()
    frame = pandas.DataFrame({"k": ["a", "b"] * 100, "v": range(200)}).convert_dtypes(dtype_backend="pyarrow")
    assert frame.groupby("k").v.sum()["a"] == sum(range(0, 200, 2))
    file = io.BytesIO()
    frame.to_parquet(file)
    assert (pandas.read_parquet(io.BytesIO(file.getvalue())).v == range(200)).all()


@case(
    "scipy",
    "scipy",
    exercised="optimization and integration of functions that raise, sparse and dense algebra, statistics, FFT, trees",
    with_=("numpy",),
)
def scipy() -> None:
    import numpy
    import scipy.cluster.hierarchy
    import scipy.constants
    import scipy.fft
    import scipy.integrate
    import scipy.interpolate
    import scipy.io
    import scipy.linalg
    import scipy.ndimage
    import scipy.optimize
    import scipy.signal
    import scipy.sparse.csgraph
    import scipy.sparse.linalg
    import scipy.spatial
    import scipy.special
    import scipy.stats

    found = scipy.optimize.minimize(lambda x: ((x - 3) ** 2).sum(), numpy.zeros(4))
    assert numpy.allclose(found.x, 3, atol=1e-3)
    assert abs(scipy.integrate.quad(numpy.sin, 0, numpy.pi)[0] - 2) < 1e-9

    def fail(_: object) -> float:
        raise LookupError("from a function")

    raises(LookupError, scipy.integrate.quad, fail, 0, 1)
    raises(LookupError, scipy.optimize.brentq, fail, 0, 1)
    raises(ValueError, scipy.optimize.brentq, numpy.cos, 0, 1)
    assert abs(scipy.optimize.brentq(numpy.cos, 0, 3) - numpy.pi / 2) < 1e-9
    solution = scipy.integrate.solve_ivp(lambda t, y: -y, (0, 1), [1.0], rtol=1e-8)
    assert abs(solution.y[0, -1] - numpy.exp(-1)) < 1e-6
    matrix = scipy.sparse.random(100, 100, 0.05, random_state=1).tocsc() + scipy.sparse.eye(100).tocsc() * 5
    right = numpy.ones(100)
    assert numpy.allclose(matrix @ scipy.sparse.linalg.spsolve(matrix, right), right)
    assert numpy.allclose(scipy.linalg.inv(matrix.toarray()) @ matrix.toarray(), numpy.eye(100))
    raises(numpy.linalg.LinAlgError, scipy.linalg.inv, numpy.zeros((3, 3)))
    assert scipy.stats.ttest_ind([1, 2, 3, 4], [2, 3, 4, 5]).pvalue > 0.1
    assert abs(scipy.stats.norm.cdf(0) - 0.5) < 1e-12
    assert scipy.spatial.cKDTree(numpy.random.rand(500, 2)).query([0.5, 0.5])[0] < 0.5
    assert numpy.allclose(scipy.fft.ifft(scipy.fft.fft(right)), right)
    assert scipy.signal.find_peaks([0, 1, 0, 2, 0])[0].tolist() == [1, 3]
    assert scipy.ndimage.gaussian_filter(numpy.eye(20), 1).shape == (20, 20)
    assert scipy.special.gamma(5) == 24
    assert scipy.interpolate.CubicSpline([0, 1, 2], [0, 1, 4])(1) == 1
    assert scipy.sparse.csgraph.shortest_path(numpy.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]]))[0, 2] == 2
    assert len(scipy.cluster.hierarchy.linkage(numpy.random.rand(10, 2))) == 9


@case(
    "scikit-learn",
    "sklearn",
    exercised="linear models, trees, forests, clusters, pipelines, cross-validation, errors",
    with_=("numpy", "scipy"),
)
def scikit_learn() -> None:
    _without_pyarrow()
    import numpy
    import sklearn.cluster
    import sklearn.datasets
    import sklearn.ensemble
    import sklearn.exceptions
    import sklearn.feature_extraction.text
    import sklearn.linear_model
    import sklearn.model_selection
    import sklearn.neighbors
    import sklearn.pipeline
    import sklearn.preprocessing
    import sklearn.svm

    data, target = sklearn.datasets.make_classification(200, random_state=1)
    model = sklearn.pipeline.make_pipeline(
        sklearn.preprocessing.StandardScaler(), sklearn.linear_model.LogisticRegression()
    )
    assert sklearn.model_selection.cross_val_score(model, data, target, cv=3).mean() > 0.7
    for kind in (
        sklearn.ensemble.RandomForestClassifier(10),
        sklearn.ensemble.HistGradientBoostingClassifier(max_iter=5),
        sklearn.svm.SVC(),
        sklearn.neighbors.KNeighborsClassifier(),
    ):
        assert kind.fit(data, target).score(data, target) > 0.7
    assert len(set(sklearn.cluster.KMeans(3, n_init=1).fit_predict(data))) == 3
    vectors = sklearn.feature_extraction.text.TfidfVectorizer().fit_transform(["a tree", "the tree and a fox"])
    assert vectors.shape == (2, 4)
    raises(sklearn.exceptions.NotFittedError, sklearn.svm.SVC().predict, data)
    raises(ValueError, sklearn.svm.SVC().fit, data * numpy.nan, target)


@case(
    "statsmodels",
    "statsmodels",
    exercised="least squares by formula, logit, time series, errors",
    with_=("numpy", "pandas", "scipy"),
)
def statsmodels() -> None:
    _without_pyarrow()
    import numpy
    import statsmodels.api
    import statsmodels.formula.api
    import statsmodels.tsa.arima.model

    random = numpy.random.default_rng(1)
    x = random.normal(size=100)
    fitted = statsmodels.formula.api.ols("y ~ x", {"x": x, "y": 2 * x + 1 + random.normal(scale=0.1, size=100)}).fit()
    assert abs(fitted.params["x"] - 2) < 0.1
    logit = statsmodels.api.Logit((x + random.normal(size=100) > 0).astype(int), statsmodels.api.add_constant(x)).fit(
        disp=0
    )
    assert logit.params[1] > 0
    series = statsmodels.tsa.arima.model.ARIMA(numpy.cumsum(x), order=(1, 1, 0)).fit()
    assert len(series.forecast(3)) == 3
    raises(ValueError, statsmodels.api.OLS, [1, 2], [1, 2, 3])


@case(
    "polars",
    "polars",
    "_polars_runtime_32",
    "_polars_runtime",
    of="polars-runtime-32",
    exercised="groups, joins, lazy queries, CSV, Parquet, functions in Python that raise, errors",
    with_=("polars",),
)
def polars() -> None:
    import io

    import polars

    frame = polars.DataFrame({"k": ["a", "b", "c", "d"] * 250, "v": range(1000), "l": [[1, 2], None] * 500})
    sums = frame.lazy().group_by("k").agg(polars.col("v").sum()).sort("k").collect()
    assert sums["v"][0] == sum(range(0, 1000, 4))
    assert frame.join(polars.DataFrame({"k": ["a"], "w": [1.5]}), on="k").height == 250
    file = io.BytesIO()
    frame.write_parquet(file)
    file.seek(0)
    assert polars.read_parquet(file).equals(frame)
    assert polars.read_csv(io.BytesIO(frame.drop("l").write_csv().encode())).height == 1000
    assert frame["v"].map_elements(lambda value: value + 1, return_dtype=polars.Int64)[0] == 1
    assert frame.to_dicts()[1]["l"] is None

    def fail(_: object) -> int:
        raise LookupError("from a function")

    raises(Exception, frame["v"].map_elements, fail, return_dtype=polars.Int64)
    raises(polars.exceptions.ColumnNotFoundError, frame.select, "no such column")
    raises(polars.exceptions.PolarsError, frame.lazy().select(polars.col("k").cast(polars.Int64)).collect)
    assert frame.sql("select max(v) as m from self")["m"][0] == 999


@case(
    "Pillow",
    "PIL",
    exercised="draw, resize, filter, JPEG, PNG, WebP and GIF both ways, text, broken files",
    of="pillow",
)
def pillow() -> None:
    import io

    from PIL import Image, ImageCms, ImageDraw, ImageFilter, ImageFont, ImageMath, UnidentifiedImageError

    image = Image.effect_noise((120, 80), 50).convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.ellipse((10, 10, 60, 60), fill="red")
    draw.text((5, 5), "text", fill="blue", font=ImageFont.load_default(14))
    changed = (
        image.resize((60, 40), Image.Resampling.LANCZOS).rotate(30, expand=True).filter(ImageFilter.GaussianBlur(2))
    )
    assert changed.getbbox() is not None
    for kind, exact in (("PNG", True), ("JPEG", False), ("WEBP", False), ("GIF", False), ("TIFF", True)):
        file = io.BytesIO()
        image.save(file, kind)
        again = Image.open(io.BytesIO(file.getvalue())).convert("RGB")
        assert again.size == image.size
        assert not exact or again.tobytes() == image.tobytes()
        raises(
            OSError, Image.open(io.BytesIO(file.getvalue()[: len(file.getvalue()) // 2])).load
        ) if kind == "PNG" else None
    raises(UnidentifiedImageError, Image.open, io.BytesIO(b"nonsense"))
    raises(ValueError, image.resize, (0, -1))
    assert image.point(lambda value: 255 - value).getpixel((30, 30)) == (0, 255, 255)
    assert ImageCms.createProfile("sRGB") is not None
    assert ImageMath.lambda_eval(lambda args: args["a"] + 1, a=Image.new("I", (2, 2), 4)).getpixel((0, 0)) == 5


@case(
    "pillow-heif",
    "_pillow_heif",
    exercised="HEIF by Pillow both ways, several images in a file, broken files",
    with_=("pillow",),
)
def pillow_heif() -> None:
    import io

    import pillow_heif
    from PIL import Image, UnidentifiedImageError

    pillow_heif.register_heif_opener()
    image = Image.effect_noise((128, 64), 50).convert("RGB")
    file = io.BytesIO()
    image.save(file, "HEIF", quality=90, save_all=True, append_images=[image.rotate(90)])
    content = file.getvalue()
    again = Image.open(io.BytesIO(content))
    again.load()
    assert (again.size, again.mode, again.format) == ((128, 64), "RGB", "HEIF")
    assert abs(sum(again.resize((1, 1)).getpixel((0, 0))) - sum(image.resize((1, 1)).getpixel((0, 0)))) < 30
    assert len(pillow_heif.open_heif(content)) == 2
    raises(UnidentifiedImageError, Image.open, io.BytesIO(b"nonsense"))
    raises(ValueError, pillow_heif.open_heif, b"nonsense")
    broken = Image.open(io.BytesIO(content[: len(content) // 2]))
    raises(ValueError, broken.load)


@case(
    "shapely", "shapely", exercised="operations on one and on many shapes, WKT and WKB, trees, errors", with_=("numpy",)
)
def shapely() -> None:
    import numpy
    import shapely

    square = shapely.box(0, 0, 2, 2)
    assert square.intersection(shapely.box(1, 1, 3, 3)).area == 1
    points = shapely.points(numpy.random.rand(500, 2) * 4)
    assert 0 < shapely.contains(square, points).sum() < 500
    assert shapely.from_wkb(shapely.to_wkb(square)) == square
    assert shapely.from_wkt(square.wkt).equals(square)
    assert len(shapely.STRtree(points).query(square)) > 0
    assert shapely.union_all([shapely.Point(index, 0).buffer(1) for index in range(20)]).area > 20
    raises(shapely.errors.GEOSException, shapely.from_wkt, "POLYGON ((nonsense")
    raises(TypeError, shapely.area, "text")
    assert shapely.transform(square, lambda corners: corners * 2).area == 16


@case(
    "matplotlib",
    "matplotlib",
    exercised="figures by Agg, contours, text, SVG and PDF, errors",
    with_=("numpy", "contourpy", "kiwisolver", "pillow"),
)
def matplotlib() -> None:
    import io

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.figure
    import numpy

    figure = matplotlib.figure.Figure(figsize=(3, 2), layout="constrained")
    first, second = figure.subplots(1, 2)
    first.plot(numpy.sin(numpy.linspace(0, 9, 200)), label="sine")
    first.legend()
    second.contourf(numpy.random.rand(20, 20))
    for kind, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        file = io.BytesIO()
        figure.savefig(file, format=kind)
        assert file.getvalue().startswith(start)
    raises(ValueError, figure.savefig, io.BytesIO(), format="nonsense")
    raises(ValueError, first.plot, [1, 2], [1, 2, 3])


@case("safetensors", "safetensors", exercised="saving and loading with NumPy, broken files", with_=("numpy",))
def safetensors() -> None:
    import numpy
    import safetensors
    import safetensors.numpy

    tensors = {"a": numpy.arange(1000, dtype="f4").reshape(10, 100), "b": numpy.ones(3, dtype="i8")}
    again = safetensors.numpy.load(safetensors.numpy.save(tensors, {"made": "here"}))
    assert (again["a"] == tensors["a"]).all()
    raises(safetensors.SafetensorError, safetensors.numpy.load, b"nonsense!")


@case("bitarray", "bitarray", exercised="operations, searches, codes, errors")
def bitarray() -> None:
    import bitarray
    from bitarray import util

    bits = bitarray.bitarray("01" * 500)
    assert bits.count() == 500
    assert (bits ^ ~bits).all()
    assert bits.find(bitarray.bitarray("11")) == -1
    assert util.ba2int(util.int2ba(12345)) == 12345
    codes = util.huffman_code({"a": 5, "b": 2, "c": 1})
    coded = bitarray.bitarray()
    coded.encode(codes, "abcabc")
    assert "".join(coded.decode(codes)) == "abcabc"
    raises(IndexError, lambda: bits[10_000])
    raises(ValueError, bitarray.bitarray, "012")


@case("contourpy", "contourpy", exercised="lines and filled contours by each algorithm, errors", with_=("numpy",))
def contourpy() -> None:
    import contourpy
    import numpy

    x, y = numpy.meshgrid(numpy.linspace(-1, 1, 50), numpy.linspace(-1, 1, 50))
    for name in ("mpl2014", "serial", "threaded"):
        generator = contourpy.contour_generator(x, y, x**2 + y**2, name=name)
        assert len(generator.lines(0.5)) >= 1
        assert len(generator.filled(0.2, 0.5)) == 2
    raises(TypeError, contourpy.contour_generator, x, y, numpy.zeros(3))
    raises(TypeError, contourpy.contour_generator(x, y, x).lines, "text")


@case("kiwisolver", "kiwisolver", exercised="constraints solved and changed, ones that contradict, errors")
def kiwisolver() -> None:
    import kiwisolver

    left, width = kiwisolver.Variable("left"), kiwisolver.Variable("width")
    solver = kiwisolver.Solver()
    for constraint in (left >= 3, (width == 2 * left + 1) | "strong", left <= 10):
        solver.addConstraint(constraint)
    solver.addEditVariable(left, "medium")
    for value in range(3, 10):
        solver.suggestValue(left, value)
        solver.updateVariables()
        assert (left.value(), width.value()) == (value, 2 * value + 1)
    raises(kiwisolver.UnsatisfiableConstraint, solver.addConstraint, left <= 1)
    raises(TypeError, solver.addConstraint, "text")
