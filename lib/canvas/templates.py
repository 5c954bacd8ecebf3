"""CloudFormation templates: the function that mints URLs, and single sign-on into Canvas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FUNCTION = Path(__file__).with_name("function.py")


def function_template() -> str:
    """Return the template of the Lambda function, its least-privilege role and its signed URL.

    Parameters: the domain, and the role that may call it.
    """
    mint = {
        "Effect": "Allow",
        "Action": "sagemaker:CreatePresignedDomainUrl",
        "Resource": _sub("user-profile/${DomainId}/*"),
    }
    logs = {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": {"Fn::Sub": "${Log.Arn}"},
    }
    return _yaml(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": "Mints presigned URLs of SageMaker Canvas for Sightline, behind IAM",
            "Parameters": {
                "DomainId": {"Type": "String", "AllowedPattern": "d-(-*[a-z0-9]){1,61}"},
                "CallerRoleArn": {
                    "Type": "String",
                    "Description": "The role of the Sightline server, which may call the function",
                    "AllowedPattern": "arn:aws[a-z-]*:iam::\\d{12}:role/.+",
                },
            },
            "Resources": {
                "Log": {
                    "Type": "AWS::Logs::LogGroup",
                    "DeletionPolicy": "Delete",
                    "UpdateReplacePolicy": "Delete",
                    "Properties": {
                        "LogGroupName": {"Fn::Sub": "/aws/lambda/${AWS::StackName}-mint"},
                        "RetentionInDays": 30,
                    },
                },
                "Role": {
                    "Type": "AWS::IAM::Role",
                    "Properties": {
                        "AssumeRolePolicyDocument": _document(
                            {
                                "Effect": "Allow",
                                "Principal": {"Service": "lambda.amazonaws.com"},
                                "Action": "sts:AssumeRole",
                            }
                        ),
                        "Policies": [
                            {"PolicyName": "Mint", "PolicyDocument": _document(mint, logs)}
                        ],
                    },
                },
                "Function": {
                    "Type": "AWS::Lambda::Function",
                    "DependsOn": "Log",
                    "Properties": {
                        "FunctionName": {"Fn::Sub": "${AWS::StackName}-mint"},
                        "Runtime": "python3.13",
                        "Architectures": ["arm64"],
                        "Handler": "index.handler",
                        "Timeout": 10,
                        "ReservedConcurrentExecutions": 5,
                        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                        "Environment": {"Variables": {"DOMAIN_ID": {"Ref": "DomainId"}}},
                        "Code": {"ZipFile": FUNCTION.read_text()},
                    },
                },
                "Url": {
                    "Type": "AWS::Lambda::Url",
                    "Properties": {
                        "TargetFunctionArn": {"Fn::GetAtt": ["Function", "Arn"]},
                        "AuthType": "AWS_IAM",
                    },
                },
                "Permission": {
                    "Type": "AWS::Lambda::Permission",
                    "Properties": {
                        "Action": "lambda:InvokeFunctionUrl",
                        "FunctionName": {"Fn::GetAtt": ["Function", "Arn"]},
                        "Principal": {"Ref": "CallerRoleArn"},
                        "FunctionUrlAuthType": "AWS_IAM",
                    },
                },
            },
            "Outputs": {
                "FunctionUrl": {
                    "Description": "SIGHTLINE_CANVAS_FUNCTION_URL",
                    "Value": {"Fn::GetAtt": ["Url", "FunctionUrl"]},
                }
            },
        }
    )


def sign_on_template(permissions: dict[str, Any], trust: dict[str, Any]) -> str:
    """Return the template of the role that single sign-on takes on, with its two policies."""
    return _yaml(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": "The role by which single sign-on opens SageMaker Canvas",
            "Resources": {
                "CanvasRole": {
                    "Type": "AWS::IAM::Role",
                    # The post's action for principal tags is in no list of IAM's.
                    "Metadata": {"cfn-lint": {"config": {"ignore_checks": ["W3037"]}}},
                    "Properties": {
                        "Description": "Single sign-on into SageMaker Canvas",
                        "MaxSessionDuration": 28_800,
                        "AssumeRolePolicyDocument": trust,
                        "Policies": [{"PolicyName": "OpenCanvas", "PolicyDocument": permissions}],
                    },
                }
            },
            "Outputs": {"RoleArn": {"Value": {"Fn::GetAtt": ["CanvasRole", "Arn"]}}},
        }
    )


def _sub(resource: str) -> dict[str, str]:
    return {
        "Fn::Sub": "arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:" + resource
    }


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, so that code stays readable."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _yaml(data: dict[str, Any]) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=100)
