"""Short reports in several languages, written for the tests: the sentences and how they join."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    code: str
    sentences: tuple[str, ...]
    joint: str = " "

    @property
    def text(self) -> str:
        return self.joint.join(self.sentences)


SAMPLES = (
    Sample(
        "en",
        (
            "Dr. Smith of Acme Inc. said revenue rose 4.5 percent to $3.2 million.",
            "The plant in Ohio was closed in the spring, e.g. for repairs.",
            '"Did it help?" he asked.',
            "Customers ordered more pumps than in the year before!",
            "The outlook for the next quarter is better.",
        ),
    ),
    Sample(
        "de",
        (
            "Herr Dr. Müller sagte am 3. Mai, dass der Umsatz um 4,5 Prozent gestiegen ist.",
            "Das Werk in Köln war im Frühjahr geschlossen, z.B. wegen der Reparaturen.",
            "Hat es geholfen?",
            "Die Kunden haben mehr Pumpen bestellt als im Jahr davor!",
            "Der Ausblick auf das nächste Quartal ist besser.",
        ),
    ),
    Sample(
        "fr",
        (
            "M. Dupont a annoncé que le chiffre d’affaires a augmenté de 4,5 pour cent.",
            "L’usine de Lyon était fermée au printemps pour des travaux.",
            "« Est-ce que cela a aidé ? » a-t-il demandé.",
            "Les clients ont commandé plus de pompes que l’année d’avant !",
            "Les perspectives du prochain trimestre sont meilleures.",
        ),
    ),
    Sample(
        "es",
        (
            "El Sr. García dijo que los ingresos subieron un 4,5 por ciento.",
            "La planta de Sevilla estuvo cerrada en primavera por las obras.",
            "¿Ha servido de algo?",
            "¡Los clientes pidieron más bombas que el año anterior!",
            "Las perspectivas para el próximo trimestre son mejores.",
        ),
    ),
    Sample(
        "zh",
        (
            "公司第三季度的收入增长了4.5%，达到三百万元。",
            "因为维修，工厂在春天关闭了两个月！",
            "这对我们有帮助吗？",
            "客户订购的水泵比去年更多。",
            "我们认为下一季度的前景更好。",
        ),
        joint="",
    ),
    Sample(
        "ja",
        (
            "会社の第三四半期の売上は4.5％増えた。",
            "修理のため、工場は春に二か月閉鎖された！",
            "「それは役に立ったか？」と彼は尋ねた。",
            "顧客は前の年より多くのポンプを注文した。",
            "次の四半期の見通しは良い。",
        ),
        joint="",
    ),
    Sample(
        "ar",
        (
            "قال المدير إن إيرادات الشركة ارتفعت بنسبة 4.5 في المئة هذا العام.",
            "كان المصنع مغلقا في الربيع بسبب الإصلاحات.",
            "هل ساعد ذلك الشركة؟",
            "طلب العملاء مضخات أكثر من العام الماضي!",
            "التوقعات في الربع القادم أفضل من قبل.",
        ),
    ),
    Sample(
        "hi",
        (
            "कंपनी ने कहा कि इस साल उसका राजस्व 4.5 प्रतिशत बढ़ा है।",
            "मरम्मत के कारण कारखाना वसंत में बंद था।",
            "क्या इससे कंपनी को मदद मिली?",
            "ग्राहकों ने पिछले साल से अधिक पंप मंगाए!",
            "अगली तिमाही के लिए उम्मीद बेहतर है।",
        ),
    ),
)
