"""Pixels and resized images; expected values are the bits of TensorFlow 2.21."""

import base64
import hashlib

import numpy as np
import pytest

from hornbeam.errors import FileError
from hornbeam.utils import image_dataset_from_directory, pixels, save_img
from hornbeam.utils.pixels import read_pixels
from hornbeam.utils.resizing import resize

pytest.importorskip("PIL.Image")
pytest.importorskip("simplejpeg")

FILES = {
    "rgb": (
        r"|JeWF01!$>Nk#wx0RR9200961|JwjV01XKW3knDg3knMk4h;_zAQcl55)&sJ9v2`kDKRiEDJ?8BI!Zn>Hbyr"
        r"rEkIX6ModmpQ&KWMT47pHU`kO^PygEhLjevB4iga*CKVMXPc<zyPft%zPft%zPft%zPft%zPft%zPft%zPft"
        r"%zPft%zPft%zPft%zPft%zPft%zPf!2A01*fP3;+=W0U`hb5di}c0sq7R7ytkQ0{{R30000000000000060R"
        r"#pA!~iA`00II50t5#E00000000000RjUA00j~eF;QU#6BHpLL7}n#!~hln0RaI30000000000000000|Es9!"
        r"~h);00IF70{{R30000000000009vK1R+rp6C(fG01N{G00I#M5dc2`T+=k#)~&lv@@#@K<xu>awnno`wP~T2"
        r"4dOY_w%7M%ApZa}Dy5mLYEiTjG8f<vaB-K#G}0S%m^_ZsjjUXbTz<N9$ZoFHoM<?qTf}<Ux#llZhF$cLbU&D"
        r"5b2CCe|Je"
    ),
    "progressive": (
        r"|JeWF01!$>Nk#wx0RR9200961|JwjV01XKW3knDg3knMk4h;_zAQcl55)&sJ9v2`kDKRiEDJ?8BI!Zn>Hbyr"
        r"rEkIX6ModmpQ&KWMT47pHU`kO^PygEhLjevB4iga*CKVMXPc<zyPft%zPft%zPft%zPft%zPft%zPft%zPft"
        r"%zPft%zPft%zPft%zPft%zPft%zPf!2C01*fP3;+=W0U`hb5di}c0sq7R7XSeP0RaF20000000000000050|"
        r"fuX02KiN0RR910000000000000021OM6p3<CiG0uTcb0004+<fcs4=P&=n02&Yh00IL60000000000000020"
        r"RsR85fcB}00;pA009L8uCkTDneG)P&7sBSGylW@7ZCsh0RR910000000000000mZAz}a800;pC0RcY&i_!nY"
        r"02dJf00RI30000000000000005fUN)+5iXv0s#R(0ox`2!~hx)009L70000000000000000RRvYAu$5~+5iX"
        r"v0RRR+0=b}p7+67EZMXl#02vSg0RaI40RR9100000000015dbj|A^+L{2mt{A0Y4#jxU@Rz8yg;)GgB7>s(u"
        r"^g|Jncy0|5X600RI301&G`|HJ?n5di@K0RR91000000000001*HIasS!?2mu2D0Y4Bj4x=ys!~hr(00IL500"
        r"00000000000000U;0(QUBTi2mt~C0Y4BXma;$p!~h)-0RRF50s{a500000000000RRy(VL?%Wp|Stk00;pA0"
        r"0BP`y4yAIO7pKJ2jtktMAUXLtX9Ti`0F!U>VN;)"
    ),
    "gray": (
        r"|JeWF01!$>Nk#wx0RR9200961|JwjV01XKW3knDg3knMk4h;_zAQcl55)&sJ9v2`kDKRiEDJ?8BI!Zn>Hbyr"
        r"rEkIX6ModmpQ&KWMT47pHU`kO^PyfIG3kU!V01*KJ5di<h02crN0|5X40000000000000011qK5D!~iA`00I"
        r"I50t5#E00000000000RjUA00j~eF;QU#6BHpLL7}n#+5iXv0RR9$0G!h_+SaYRPV#JmGUZVGo3;&Rm1@&NEE"
        r"~jgp>413%0d2O&oO$O%}X;@)T3x5WG}!T;N>rhX{0vkFnJxN8(6s<xczkJihU$q59WXW*#"
    ),
    "cmyk": (
        r"|JeWT01iQ9Z(?NtWB>pF0095n07C!`2?`4e2n`Dg3l0tq4-+626A}^=CmbFZATB8}FfJ)AEHgSvJ~K8(H!Lk"
        r"cS3yQhPEu1+GCo>iT2Nq0QBqI;zyK5o01N;T1Va%3O%VWD5dcdO0RO}Q8UO$S0|5a50000000000000060s{"
        r"pE2mizXFAx9%0RjX92nGWH00000000330{{dC5fUL2Q3ezuF+oyckp~qrQ*n}^!O{QP01gC008Ic{080P>KL"
        r"AtcW(jYPVv{B8k_cgp$jce+KKTJyFj!i>!$~8^RtU?KL%VXNiC}>=%vs5aNz$itUY%C--vYG3FD<%*KLX-1+"
        r"9Wx$5Na3p_Q>$f8ptD^3u$fHSRQ<;vLTXHowX>HbM0<J59*3r(zV6MPHj=^1Jl@1U3fk1&5k1!){?YtPLf9>"
        r"RKq;bVu)gqmx+*X9P_O1G?Cq@Mk8Lw$35t#uZVbZMTudK)6X;9CYNa#9f2L$00()dOn%iMxwI<I##5z>9}iD"
        r"@-NdcqfW;z$&A-+7qL+SK51vnP{#JKYhs*p5&f<@?7wbiT|Je"
    ),
}
"""JPEG files, 17 by 12 pixels."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jpeg")
    for name, data in FILES.items():
        (folder / f"{name}.jpg").write_bytes(base64.b85decode(data))
    return folder


def digest(x):
    return hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()[:16]


ROWS = [
    ("rgb", "rgb", "3850ac116f41cdc2", "564eb75129500cb1"),
    ("rgb", "grayscale", "ab15207fcb1d5d56", "e0dac978b8cf3699"),
    ("progressive", "rgb", "3850ac116f41cdc2", "564eb75129500cb1"),
    ("gray", "rgb", "ee8fbcc7e031dd73", "5740c457736d61d2"),
    ("gray", "grayscale", "ab15207fcb1d5d56", "e0dac978b8cf3699"),
    ("cmyk", "rgb", "a8e28d7ac4936035", "d4d78dfcfb3f5b41"),
]


@pytest.mark.parametrize(("name", "mode", "decoded", "resized"), ROWS)
def test_bits_are_those_of_tensorflow(folder, name, mode, decoded, resized):
    x = read_pixels(str(folder / f"{name}.jpg"), mode, "test")
    assert (x.shape, x.dtype) == ((12, 17, pixels.CHANNELS[mode]), "uint8")
    assert digest(x) == decoded
    assert digest(resize(x, (7, 23))) == resized
    assert digest(resize(np.stack([x, x]), (7, 23))[1]) == resized


def test_pillow_reads_what_the_other_decoder_refuses(folder, monkeypatch, tmp_path):
    assert read_pixels(str(folder / "cmyk.jpg"), "grayscale", "test").shape == (12, 17, 1)
    assert read_pixels(str(folder / "rgb.jpg"), "rgba", "test").shape == (12, 17, 4)
    exact = read_pixels(str(folder / "rgb.jpg"), "rgb", "test").astype(int)
    monkeypatch.setattr(pixels, "_simplejpeg", lambda: None)
    near = read_pixels(str(folder / "rgb.jpg"), "rgb", "test").astype(int)
    assert 0 < np.abs(near - exact).max() < 16
    (tmp_path / "a.jpg").write_bytes((folder / "rgb.jpg").read_bytes()[:300])
    for _ in range(2):
        with pytest.raises(FileError, match=r"a\.jpg' is not a complete image"):
            read_pixels(str(tmp_path / "a.jpg"), "rgb", "test")
        monkeypatch.undo()


def test_the_ending_of_a_name_does_not_choose_the_decoder(folder, tmp_path):
    (tmp_path / "a").mkdir()
    save_img(tmp_path / "a" / "0.jpg", np.full((4, 4, 3), 7), file_format="png", scale=False)
    (tmp_path / "a" / "1.png").write_bytes((folder / "rgb.jpg").read_bytes())
    data = image_dataset_from_directory(tmp_path, image_size=(7, 23), shuffle=False, verbose=False)
    ((x, _),) = data
    assert (x[0] == 7).all()
    assert digest(x[1]) == ROWS[0][3]


def test_rows_that_are_not_used_change_nothing():
    x = np.random.default_rng(0).integers(0, 256, (40, 9, 3)).astype("uint8")
    for size in ((19, 5), (20, 5)):  # more and less than half of the rows
        rows = resize(x.transpose(1, 0, 2), size[::-1]).transpose(1, 0, 2)
        np.testing.assert_allclose(resize(x, size), rows, rtol=1e-5, atol=1e-4)
